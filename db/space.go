package db

import (
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

const (
	// growStep is the size in bytes in which the file grows.
	growStep = 1 << 20
	// reserveSize is how much room in bytes the file keeps for transactions
	// that delete something, when the disk is full.
	reserveSize = 1 << 20
	// maxAllocation is how much of a sparse file is filled, in bytes.
	maxAllocation = 1 << 30
)

// space is the room that a write transaction has: pages of the file that are
// free, and those behind the last one, with disk blocks behind every byte.
// bbolt grows a file without allocating blocks, and then cannot even delete
// when the disk is full.
type space struct {
	h    *handle
	room int64 // bytes
	// full means that the file could not be extended.
	full    bool
	grows   bool  // the transaction makes something new
	written int64 // bytes of keys and values
	later   int64 // bytes that the next transaction needs
}

// write notes that a key and a value of so many bytes are written.
func (s *space) write(n int) { s.written += int64(n) }

// toGrow returns an error that matches model.ErrNoSpace if what is left is
// kept for transactions that delete. Transactions that make something new call
// it.
func (s *space) toGrow() error {
	s.grows = true
	if s.full && s.room < reserveSize {
		return s.none()
	}
	return nil
}

func (s *space) none() error {
	return fmt.Errorf("%w on the file system of %s: what is left of the file is kept as a reserve for deletions", model.ErrNoSpace, s.h.path)
}

// reserve sees to it that the file has the reserve at least.
func (h *handle) reserve(tx *bolt.Tx) (*space, error) {
	s := &space{h: h}
	if err := s.ensure(tx, reserveSize); err != nil {
		return nil, err
	}
	return s, nil
}

// extend sees to it, before a commit, that the reserve is left after it, unless
// the transaction only deletes. The commit writes a copy of each page that has
// been touched, and pages that are half full for what is new.
func (s *space) extend(tx *bolt.Tx) error {
	if !s.grows {
		return nil
	}
	need := s.needed(tx) + s.later + reserveSize
	if s.room >= need {
		return nil
	}
	if err := s.ensure(tx, need); err != nil {
		return err
	}
	if s.full && s.room < need {
		return s.none()
	}
	return nil
}

// needed returns how many bytes a commit may need.
func (s *space) needed(tx *bolt.Tx) int64 {
	stats := tx.Stats()
	pages := stats.GetNodeCount() + int64(s.h.bolt.Stats().FreelistInuse/tx.DB().Info().PageSize) + 2
	return pages*int64(tx.DB().Info().PageSize) + 2*s.written
}

// ensure makes the file longer if it has less room than so many bytes.
func (s *space) ensure(tx *bolt.Tx, need int64) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(s.h.file.Fd()), &stat); err != nil {
		return fmt.Errorf("database %s: %w", s.h.path, err)
	}
	used := tx.Size() // up to the highest page ever used
	free := int64(s.h.bolt.Stats().FreePageN) * int64(tx.DB().Info().PageSize)
	s.room = min(stat.Size, stat.Blocks*512) - used + free
	if s.room >= need {
		return nil
	}
	want := max(roundUp(used-free+need+growStep/2, growStep), stat.Size)
	if want-stat.Blocks*512 > maxAllocation {
		s.room = need // a file with a hole like this is not ours to fill
		return nil
	}
	err := allocate(s.h.file, want)
	switch {
	case err == nil:
		s.room = want - used + free
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		s.full = true
	case errors.Is(err, unix.EOPNOTSUPP):
		// Not every file system can allocate in advance. Without it the file
		// grows as bbolt makes it grow.
		s.room = need
	default:
		return fmt.Errorf("database %s: allocate %d bytes: %w", s.h.path, want, err)
	}
	return nil
}

func roundUp(n, step int64) int64 { return (n + step - 1) / step * step }

// allocate puts disk blocks behind every byte of a file, and makes it as long
// as wanted.
func allocate(file *os.File, size int64) error {
	return unix.Fallocate(int(file.Fd()), 0, 0, size)
}

// noCopyOnWrite is FS_NOCOW_FL of linux/fs.h (ioctl_iflags(2)).
const noCopyOnWrite = 0x00800000

// overwriteInPlace makes btrfs write to the blocks that an empty file will get,
// instead of to new ones each time: otherwise blocks that are kept in reserve
// would be of no use on a full disk. The price is that btrfs has no checksums
// of the file; the database has its own. Where that is not possible nothing
// happens.
func overwriteInPlace(file *os.File) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &stat); err != nil || stat.Type != unix.BTRFS_SUPER_MAGIC {
		return
	}
	flags, err := unix.IoctlGetUint32(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		_ = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, int(flags|noCopyOnWrite))
	}
}
