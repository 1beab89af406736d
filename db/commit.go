package db

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CommitError is the error of a commit whose outcome is not known: the database
// has to be asked whether the transaction took effect. It comes from a disk
// that refuses to say that what it was given is safe.
type CommitError struct{ Err error }

// Error says that the outcome is unknown, and why.
func (e *CommitError) Error() string { return fmt.Sprintf("commit, with unknown outcome: %v", e.Err) }

// Unwrap returns the reason.
func (e *CommitError) Unwrap() error { return e.Err }

// IsUnknown tells whether err leaves open if a transaction took effect.
func IsUnknown(err error) bool {
	_, ok := errors.AsType[*CommitError](err)
	return ok
}

// committed describes a transaction that has taken effect.
type committed struct {
	txID uint64
	// waited is how long the lock was waited for, and the file opened; ran is
	// how long the function of the transaction took, and took the commit.
	waited, ran, took time.Duration
	// written is in bytes.
	written int64
	// pages is how many the file then has, up to the highest one ever used, and
	// free how many of them hold nothing.
	pages, free, pageSize int64
}

// commit commits a transaction. bbolt writes the pages first and the meta page
// that refers to them last; so if a commit fails and there is no such meta page,
// the transaction did not take effect.
func (h *handle) commit(tx *bolt.Tx) (*committed, error) {
	id := uint64(tx.ID())
	begin := time.Now()
	err := h.guarded(tx.Commit)
	if err == nil {
		done := h.committed()
		stats := tx.Stats()
		done.txID, done.took, done.written = id, time.Since(begin), stats.GetPageAlloc()+done.pageSize // and the meta page
		return done, nil
	}
	// What bbolt has in memory is not used again.
	h.broken.Store(true)
	err = classify(h.path, err)
	if m, errMeta := newestMeta(h.file); errMeta != nil || m.txID >= id {
		return nil, &CommitError{Err: err}
	}
	return nil, fmt.Errorf("commit: %w", err)
}

// committed describes the last transaction: it reads the meta pages, and asks
// bbolt what it knows.
func (h *handle) committed() *committed {
	done := &committed{}
	if m, err := newestMeta(h.file); err == nil {
		stats := h.bolt.Stats()
		// What the transaction itself has given up is free for the next one.
		done.free = int64(stats.FreePageN + stats.PendingPageN)
		done.pages, done.pageSize = int64(m.pageCount), int64(m.pageSize)
	}
	return done
}
