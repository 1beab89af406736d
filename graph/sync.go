package graph

import (
	"errors"

	"github.com/csdb/csdb/internal/fsutil"
)

// syncer makes content of the store durable that is written after the syncer
// has been opened. There is nothing in it if the store does without.
type syncer []*fsutil.Syncer

// openSyncer is called before the first byte is written, see fsutil.Syncer.
func (s *Store) openSyncer() (disks syncer, err error) {
	if s.options.NoSync {
		return nil, nil
	}
	// The home of the driver may be a mount of its own.
	for _, dir := range []string{s.driverHome(), s.options.Root} {
		disk, err := fsutil.OpenSyncer(dir)
		if err != nil {
			disks.close()
			return nil, err
		}
		disks = append(disks, disk)
	}
	same, err := disks[0].SameFS(disks[1])
	if err != nil {
		disks.close()
		return nil, err
	}
	if same {
		disks[1].Close()
		disks = disks[:1]
	}
	return disks, nil
}

// sync makes the content durable.
func (disks syncer) sync() error {
	var err error
	for _, disk := range disks {
		err = errors.Join(err, disk.Sync())
	}
	return err
}

func (disks syncer) close() {
	for _, disk := range disks {
		disk.Close()
	}
}
