package db

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// file is a bbolt file that several processes share. bbolt locks a file for as
// long as it is open, so it is opened for each transaction, under a lock of
// our own that is fair and can be waited for without polling.
//
// Goroutines of one process share what is open: while one of them writes,
// others read beside it, and several read together. Each of them passes the
// turnstile of the lock first, so that a process which always has a
// transaction open still gives way to others.
type file struct {
	path   string
	noSync bool
	// lock is nil for a file on a read-only medium: nobody can write to it.
	lock *flock.RW
	// writer admits one writer of this process at a time.
	writer chan struct{}
	nested nesting

	mu     sync.Mutex
	open   *handle       // nil while no transaction runs
	idle   chan struct{} // closed while open is nil
	closed bool
}

// newFile prepares the transactions on the bbolt file path. Nothing is opened
// yet but the lock.
func newFile(path string, lock *flock.RW, noSync bool) *file {
	idle := make(chan struct{})
	close(idle)
	return &file{path: path, noSync: noSync, lock: lock, writer: make(chan struct{}, 1), idle: idle}
}

// close ends the use of the file. Transactions that run come to their end.
func (f *file) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && f.lock != nil {
		f.lock.Close()
	}
	f.closed = true
}

// view runs fn in a transaction that reads one consistent state.
func (f *file) view(ctx context.Context, fn func(*bbolt.Tx) error) error {
	return f.transact(ctx, flock.Shared, func(h *handle) error { return h.view(fn) })
}

// update runs fn in a transaction that may write. What fn did is kept, all of
// it, if fn says that it changed something and both fn and the commit succeed.
// A *CommitError means that nobody knows whether it was kept.
func (f *file) update(ctx context.Context, fn func(*bbolt.Tx, *space) (changed bool, err error)) error {
	if f.lock == nil {
		return fmt.Errorf("database %s: %w", f.path, model.ErrStoreIsReadOnly)
	}
	return f.transact(ctx, flock.Exclusive, func(h *handle) error { return h.update(fn) })
}

// transact runs use with an open database that suits mode.
func (f *file) transact(ctx context.Context, mode flock.Mode, use func(*handle) error) (err error) {
	leave, err := f.nested.enter()
	if err != nil {
		return fmt.Errorf("database %s: %w", f.path, err)
	}
	defer leave()
	if mode == flock.Exclusive {
		select {
		case f.writer <- struct{}{}:
			defer func() { <-f.writer }()
		case <-ctx.Done():
			return fmt.Errorf("database %s: %w: %w", f.path, model.ErrBusy, context.Cause(ctx))
		}
	}
	var h *handle
	hooks := flock.Hooks{
		Join:   func() bool { h = f.join(mode); return h != nil },
		Idle:   func() <-chan struct{} { f.mu.Lock(); defer f.mu.Unlock(); return f.idle },
		Opened: func() (err error) { h, err = f.begin(ctx, mode); return err },
	}
	if f.lock != nil {
		err = f.lock.Acquire(ctx, mode, hooks)
	} else if !hooks.Join() {
		err = hooks.Opened()
	}
	if err != nil {
		return fmt.Errorf("database %s: %w", f.path, err)
	}
	defer func() { f.end(h, IsUnknown(err) || errors.Is(err, errFault)) }()
	return use(h)
}

// join makes the caller another user of the database that is open, if it suits
// mode.
func (f *file) join(mode flock.Mode) *handle {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.open == nil || f.open.broken || (mode == flock.Exclusive && !f.open.writable) {
		return nil
	}
	f.open.users++
	return f.open
}

// begin opens the database for its first user. Without a lock file several
// readers may get here at the same time.
func (f *file) begin(ctx context.Context, mode flock.Mode) (*handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, model.ErrClosed
	}
	if f.lock == nil && f.open != nil && !f.open.broken {
		f.open.users++
		return f.open, nil
	}
	h, err := openHandle(ctx, f.path, mode == flock.Exclusive, f.noSync)
	if err != nil {
		return nil, err
	}
	h.users = 1
	f.open, f.idle = h, make(chan struct{})
	return h, nil
}

// end closes the database after its last user. A broken one, about whose
// state in memory bbolt may be wrong, gets no more users.
func (f *file) end(h *handle, broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.broken = h.broken || broken
	h.users--
	if h.users > 0 {
		return
	}
	h.close()
	if f.open == h {
		f.open = nil
		close(f.idle)
		if f.lock != nil {
			f.lock.Release()
		}
	}
}

// CommitError is the error of a commit. Whether the transaction took effect is
// not known: the database has to be asked.
type CommitError struct{ Err error }

// Error says that the outcome is unknown, and why.
func (e *CommitError) Error() string { return fmt.Sprintf("commit, with unknown outcome: %v", e.Err) }

// Unwrap returns the reason.
func (e *CommitError) Unwrap() error { return e.Err }

// IsUnknown tells whether err leaves open if a transaction took effect.
func IsUnknown(err error) bool {
	var commit *CommitError
	return errors.As(err, &commit)
}
