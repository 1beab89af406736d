package db

import (
	"context"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// file is a bbolt file that several processes share. bbolt locks a file for as
// long as it is open, so it is locked only while there are transactions, under
// a lock of our own that is fair and can be waited for without polling. In
// between, what bbolt has in memory is kept, and used again if nobody else has
// written to the file: reading the freelist of a large database takes longer
// than a small transaction.
//
// Goroutines of one process share what is open: while one of them writes,
// others read beside it, and several read together. Each of them passes the
// turnstile of the lock first, so that a process which always has a
// transaction open still gives way to others.
type file struct {
	path   string
	noSync bool
	// lock is nil for a file that nobody can write to, or that is read by
	// somebody who cannot lock: each transaction then opens it for itself.
	lock *flock.RW
	// foreign is where the lock is waited for that bbolt itself puts on the
	// file. Only programs that do not know our own lock can be in the way.
	foreign flock.Queue
	// wait is how long to wait there; 0 means as long as the context lasts.
	wait time.Duration
	// writer admits one writer of this process at a time.
	writer chan struct{}
	// gate is locked while a transaction over several databases takes effect in one
	// after the other: no transaction that reads begins in between. See UpdateAll.
	gate   sync.RWMutex
	nested nesting

	mu     sync.Mutex
	open   *handle       // what others can join; nil while there is nothing
	rest   *handle       // open, but not locked
	idle   chan struct{} // closed while the lock is not held
	inside int           // transactions that wait or run
	closed bool
}

// newFile prepares the transactions on the bbolt file path. Nothing is opened
// yet but the lock.
func newFile(path string, lock *flock.RW, noSync bool) *file {
	idle := make(chan struct{})
	close(idle)
	return &file{path: path, noSync: noSync, lock: lock, writer: make(chan struct{}, 1), idle: idle}
}

// close ends the use of the file. Transactions that run come to their end;
// those that wait fail with model.ErrClosed when it is their turn.
func (f *file) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.closeLock()
	}
}

// closeLock closes what is open when nobody needs it any more. The caller holds
// the mutex.
func (f *file) closeLock() {
	if !f.closed || f.inside > 0 || f.lock == nil {
		return
	}
	if f.rest != nil {
		f.rest.close()
		f.rest = nil
	}
	f.lock.Close()
}

// enter begins a transaction, or the wait for it. Each call that succeeds is
// followed by one of leave.
func (f *file) enter() (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, f.explain(model.ErrClosed)
	}
	goroutine, err := f.nested.enter()
	if err != nil {
		return nil, f.explain(err)
	}
	f.inside++
	return func() {
		f.nested.leave(goroutine)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.inside--
		f.closeLock()
	}, nil
}

func (f *file) explain(err error) error { return fmt.Errorf("database %s: %w", f.path, err) }

// view runs fn in a transaction that reads one consistent state.
func (f *file) view(ctx context.Context, fn func(*handle, *bolt.Tx) error) error {
	return f.transact(ctx, flock.Shared, func(h *handle) error {
		return h.transact(false, func(tx *bolt.Tx) error { return fn(h, tx) })
	})
}

// update runs fn in a transaction that may write. What fn did is kept, all of
// it, if fn says that it changed something and both fn and the commit succeed;
// then is called after that, with the lock still held, unless it is nil. A
// *CommitError means that nobody knows whether it was kept.
func (f *file) update(ctx context.Context, fn func(*handle, *bolt.Tx, *space) (changed bool, err error), then func(*committed)) error {
	if f.lock == nil {
		return f.explain(model.ErrStoreIsReadOnly)
	}
	begin := time.Now()
	return f.transact(ctx, flock.Exclusive, func(h *handle) error {
		waited := time.Since(begin)
		done, err := h.update(func(tx *bolt.Tx, space *space) (bool, error) { return fn(h, tx, space) })
		if done != nil && then != nil {
			done.waited = waited
			then(done)
		}
		return err
	})
}

// transact runs use with an open database that suits mode.
func (f *file) transact(ctx context.Context, mode flock.Mode, use func(*handle) error) error {
	leave, err := f.enter()
	if err != nil {
		return err
	}
	defer leave()
	if mode == flock.Exclusive {
		if err := f.awaitWriter(ctx); err != nil {
			return f.explain(err)
		}
		defer func() { <-f.writer }()
	}
	h, err := f.acquire(ctx, mode)
	if err != nil {
		return f.explain(err)
	}
	defer f.release(h)
	return use(h)
}

// awaitWriter waits for the other writers of this process.
func (f *file) awaitWriter(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case f.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &flock.BusyError{Path: f.path, Holders: f.lock.Holders(), Err: context.Cause(ctx)}
	}
}

// alone runs fn while nobody, in this process or another one, has the database
// open.
func (f *file) alone(ctx context.Context, fn func() error) error {
	leave, err := f.enter()
	if err != nil {
		return err
	}
	defer leave()
	var result error
	err = f.lock.Acquire(ctx, flock.Exclusive, flock.Hooks{
		Join:   func() bool { return false },
		Idle:   f.whenIdle,
		Opened: func() error { result = fn(); return nil },
	})
	if err != nil {
		return f.explain(err)
	}
	f.lock.Release()
	return result
}

// acquire returns an open database that suits mode.
func (f *file) acquire(ctx context.Context, mode flock.Mode) (h *handle, err error) {
	if f.lock == nil {
		return f.openHandle(ctx, mode)
	}
	err = f.lock.Acquire(ctx, mode, flock.Hooks{
		Join:   func() bool { h = f.join(mode); return h != nil },
		Idle:   f.whenIdle,
		Opened: func() error { h, err = f.begin(ctx, mode); return err },
	})
	return h, err
}

// whenIdle returns a channel that is closed when the lock is not held.
func (f *file) whenIdle() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.idle
}

// join makes the caller another user of the database that is open, if it suits
// mode. A broken one, about whose state in memory bbolt may be wrong, gets no
// more users.
func (f *file) join(mode flock.Mode) *handle {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.open == nil || f.open.broken.Load() || (mode == flock.Exclusive && f.open.mode != mode) {
		return nil
	}
	f.open.users++
	return f.open
}

// begin opens the database for its first user, who has just taken the lock.
func (f *file) begin(ctx context.Context, mode flock.Mode) (*handle, error) {
	f.mu.Lock()
	closed, h := f.closed, f.rest
	f.rest = nil
	f.mu.Unlock()
	if h != nil && (closed || !h.wake(mode)) {
		h.close()
		h = nil
	}
	if closed {
		return nil, model.ErrClosed
	}
	if h == nil {
		var err error
		if h, err = f.openHandle(ctx, mode); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open, f.idle = h, make(chan struct{})
	return h, nil
}

// release ends the use of a database. After its last user it gives the locks
// back.
func (f *file) release(h *handle) {
	f.mu.Lock()
	h.users--
	used := h.users > 0
	if !used && f.open == h {
		f.open = nil
	}
	f.mu.Unlock()
	if used {
		return
	}
	if f.lock == nil {
		h.close()
		return
	}
	resting := h.sleep()
	if !resting {
		h.close()
	}
	f.lock.Release()
	f.mu.Lock()
	defer f.mu.Unlock()
	if resting {
		f.rest = h
	}
	close(f.idle)
}
