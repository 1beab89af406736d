package graph

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Owners are IDs of users and groups of the host, each once and ascending.
type Owners struct{ UIDs, GIDs []int }

// ParentOwners returns the owners of the directories above the mount point of a
// layer that its mappings cannot express: whoever is in a user namespace with
// these mappings sees them as nobody's. A layer without mappings has none. A
// layer that has some must be mounted, or the error matches
// model.ErrLayerNotMounted.
func (s *Store) ParentOwners(ctx context.Context, id model.LayerID) (Owners, error) {
	l, err := s.layerRecord(ctx, id)
	if err != nil || len(l.UIDMap)+len(l.GIDMap) == 0 {
		return Owners{}, err
	}
	mount, err := s.MountOf(ctx, id)
	if err == nil && mount == nil {
		err = model.OnObject(model.KindLayer, id, model.ErrLayerNotMounted)
	}
	if err != nil {
		return Owners{}, err
	}
	return ownersAbove(mount.Path, l.UIDMap, l.GIDMap)
}

// ownersAbove returns the owners of the directories above path, but for the root
// directory, which mappings cannot express.
func ownersAbove(path string, uidMap, gidMap []model.IDMap) (owners Owners, err error) {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		var stat unix.Stat_t
		if err := unix.Stat(dir, &stat); err != nil {
			return Owners{}, fmt.Errorf("owner of a directory above a mount point: %w", &os.PathError{Op: "stat", Path: dir, Err: err})
		}
		owners.UIDs = appendUnmapped(owners.UIDs, int(stat.Uid), uidMap)
		owners.GIDs = appendUnmapped(owners.GIDs, int(stat.Gid), gidMap)
	}
	slices.Sort(owners.UIDs)
	slices.Sort(owners.GIDs)
	return Owners{UIDs: slices.Compact(owners.UIDs), GIDs: slices.Compact(owners.GIDs)}, nil
}

// appendUnmapped appends an ID of the host if no range of a mapping has it. One
// without ranges is that of the host, and has all.
func appendUnmapped(ids []int, id int, ranges []model.IDMap) []int {
	mapped := func(r model.IDMap) bool { return id >= r.HostID && id-r.HostID < r.Size }
	if len(ranges) == 0 || slices.ContainsFunc(ranges, mapped) {
		return ids
	}
	return append(ids, id)
}
