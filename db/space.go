package db

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

const (
	// growStep is the size in bytes in which the file grows.
	growStep = 1 << 20
	// reserveSize is how much room the file keeps for transactions that
	// delete something, when the disk is full.
	reserveSize = 512 << 10
)

// space is the room that a write transaction has.
type space struct {
	path string
	// low means that the file could not be extended and only the reserve is
	// left.
	low bool
}

// toGrow returns an error that matches model.ErrNoSpace if what is left is
// kept for transactions that delete. Transactions that make something new call
// it.
func (s *space) toGrow() error {
	if !s.low {
		return nil
	}
	return fmt.Errorf("%w on the file system of %s: what is left of the database file is kept for deletions", model.ErrNoSpace, s.path)
}

// reserve sees to it that the file has room for the transaction and a reserve
// beyond, with disk blocks behind every byte of it: bbolt grows a file without
// allocating blocks, and then cannot even delete when the disk is full.
func (h *handle) reserve(tx *bbolt.Tx) (*space, error) {
	used := tx.Size() // up to the highest page ever used
	want := (used + 2*reserveSize + growStep - 1) / growStep * growStep
	var stat unix.Stat_t
	if err := unix.Fstat(int(h.file.Fd()), &stat); err != nil {
		return nil, fmt.Errorf("database %s: %w", h.path, err)
	}
	free := int64(h.bolt.Stats().FreePageN) * int64(h.bolt.Info().PageSize)
	if min(stat.Size, stat.Blocks*512)-used+free >= 2*reserveSize {
		return &space{}, nil
	}
	err := unix.Fallocate(int(h.file.Fd()), 0, 0, max(want, stat.Size))
	switch {
	case err == nil:
		return &space{}, nil
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return &space{path: h.path, low: min(stat.Size, stat.Blocks*512)-used+free < reserveSize}, nil
	default:
		// Not every file system can allocate in advance. Without it the file
		// grows as bbolt makes it grow.
		return &space{}, nil
	}
}
