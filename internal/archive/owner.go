package archive

import (
	"fmt"
	"math"

	"github.com/csdb/csdb/model"
)

// owners translates between the owners in an archive (those that a container
// sees) and the owners on disk (those that the host sees).
type owners struct{ uids, gids []model.IDMap }

// onDisk returns the owner on disk of an entry.
func (o owners) onDisk(uid, gid int) (diskUID, diskGID int, err error) {
	if diskUID, err = toHost(o.uids, uid); err != nil {
		return 0, 0, fmt.Errorf("user %d: %w", uid, err)
	}
	if diskGID, err = toHost(o.gids, gid); err != nil {
		return 0, 0, fmt.Errorf("group %d: %w", gid, err)
	}
	return diskUID, diskGID, nil
}

// inArchive returns the owner to be written to an archive.
func (o owners) inArchive(uid, gid uint32) (archiveUID, archiveGID int, err error) {
	if archiveUID, err = toContainer(o.uids, int(uid)); err != nil {
		return 0, 0, fmt.Errorf("user %d: %w", uid, err)
	}
	if archiveGID, err = toContainer(o.gids, int(gid)); err != nil {
		return 0, 0, fmt.Errorf("group %d: %w", gid, err)
	}
	return archiveUID, archiveGID, nil
}

func toHost(maps []model.IDMap, id int) (int, error) {
	// The greatest 32-bit number means "do not change" to chown(2).
	if id < 0 || id >= math.MaxUint32 {
		return 0, fmt.Errorf("%w: not a valid ID", model.ErrInvalid)
	}
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, nil
		}
	}
	return unmapped(maps, id)
}

func toContainer(maps []model.IDMap, id int) (int, error) {
	for _, m := range maps {
		if id >= m.HostID && id-m.HostID < m.Size {
			return m.ContainerID + id - m.HostID, nil
		}
	}
	return unmapped(maps, id)
}

// unmapped is the answer for an ID in none of maps. No maps at all mean that
// IDs are the same on both sides.
func unmapped(maps []model.IDMap, id int) (int, error) {
	if len(maps) == 0 {
		return id, nil
	}
	return 0, fmt.Errorf("%w: not in any range", model.ErrInvalidMappings)
}
