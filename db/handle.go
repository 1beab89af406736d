package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// handle is a bbolt database that is open.
type handle struct {
	path     string
	file     *os.File // the one that bolt uses
	bolt     *bolt.DB
	writable bool

	// broken is set when bbolt may be wrong about the file. The handle gets
	// no more users.
	broken atomic.Bool
	// buffers has memory that the guards of transactions use again.
	buffers sync.Pool
	// stuck is set when a panic may have left mutexes of bbolt locked.
	stuck atomic.Bool

	// gate is that of the file.
	gate *sync.RWMutex

	users int        // guarded by file.mu
	mode  flock.Mode // of the locks that its users hold
	slept state      // what held when the last transaction had ended
}

// mapSize is how much address space in bytes is set aside for the database to
// grow, so that bbolt need not map it anew, for which it would have to wait for
// all readers.
const mapSize = 256 << 20

// openHandle opens an existing database for one user. The caller holds our own
// lock.
func (f *file) openHandle(ctx context.Context, mode flock.Mode) (h *handle, err error) {
	h = &handle{path: f.path, writable: mode == flock.Exclusive, users: 1, mode: mode, gate: &f.gate}
	waiting, cancel := waitAtMost(ctx, f.wait)
	defer cancel()
	h.file, err = f.foreign.Lock(waiting, mode, h.openFile)
	if err != nil {
		return nil, err
	}
	file := h.file
	defer func() {
		if err != nil {
			// If bbolt has panicked it has left the file open, and locked.
			_ = file.Close()
		}
	}()
	size, err := h.inspect(ctx)
	if err != nil {
		return nil, err
	}
	err = h.guarded(func() (err error) {
		h.bolt, err = bolt.Open(f.path, 0, &bolt.Options{
			ReadOnly:        !h.writable,
			NoSync:          f.noSync,
			FreelistType:    bolt.FreelistArrayType,
			InitialMmapSize: int(size) + mapSize,
			Timeout:         time.Nanosecond, // the lock is held already
			OpenFile:        func(string, int, os.FileMode) (*os.File, error) { return h.file, nil },
		})
		return classify(f.path, err)
	})
	if err != nil {
		return nil, err
	}
	h.bolt.AllocSize = growStep
	return h, nil
}

// openFile opens the file of the database, which must exist. Opening a pipe or
// a device instead might wait for ever, or do something.
func (h *handle) openFile() (*os.File, error) {
	info, err := os.Lstat(h.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a database but a %s", model.ErrCorrupt, kindOf(info.Mode()))
	}
	flags := os.O_RDONLY
	if h.writable {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(h.path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%w: not a regular file", model.ErrCorrupt), err, f.Close())
	}
	return f, nil
}

// kindOf names the kind of a file.
func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&os.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file"
}

// update runs fn in a write transaction and commits it if fn changed anything.
// It returns nil if nothing was committed.
func (h *handle) update(fn func(*bolt.Tx, *space) (changed bool, err error)) (done *committed, err error) {
	err = h.transact(true, func(tx *bolt.Tx) error {
		begin := time.Now()
		space, err := h.reserve(tx)
		if err != nil {
			return err
		}
		if changed, err := fn(tx, space); err != nil || !changed {
			return err
		}
		if err := space.extend(tx); err != nil {
			return err
		}
		ran := time.Since(begin)
		if done, err = h.commit(tx); err == nil {
			done.ran = ran
		}
		return err
	})
	return done, err
}

// transact begins a transaction, runs fn in it, and rolls it back unless fn
// has committed it. A panic or a memory fault that comes from bbolt or from
// the mapped file becomes an error; any other panic goes on after the
// transaction has been rolled back.
func (h *handle) transact(writable bool, fn func(*bolt.Tx) error) (err error) {
	return h.within(func() (*bolt.Tx, error) {
		if !writable {
			h.gate.RLock()
			defer h.gate.RUnlock()
		}
		return h.begin(writable)
	}, fn)
}

// within is transact for a transaction that begin begins.
func (h *handle) within(begin func() (*bolt.Tx, error), fn func(*bolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := begin()
	if err != nil {
		return err
	}
	defer h.rollback(tx)
	defer h.catch(&err)
	return fn(tx)
}

// begin begins a transaction. bbolt reads the meta pages while it holds a
// mutex that readers need to end, so that must not fail.
func (h *handle) begin(writable bool) (tx *bolt.Tx, err error) {
	if _, err := newestMeta(h.file); err != nil {
		h.broken.Store(true)
		return nil, &DamageError{Path: h.path, Err: err}
	}
	err = h.guarded(func() (err error) {
		tx, err = h.bolt.Begin(writable)
		return classify(h.path, err)
	})
	return tx, err
}

// rollback ends a transaction. After a commit it does nothing.
func (h *handle) rollback(tx *bolt.Tx) {
	if h.stuck.Load() {
		return
	}
	_ = h.guarded(func() error {
		_ = tx.Rollback() // says that a committed transaction is closed
		return nil
	})
}

// guarded runs a function of bbolt. If it panics, mutexes of bbolt may stay
// locked.
func (h *handle) guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if errors.Is(err, errFault) {
			h.stuck.Store(true)
		}
	}()
	defer h.catch(&err)
	return fn()
}

// catch turns a panic that the file has caused into an error. It is to be
// deferred.
func (h *handle) catch(err *error) {
	value := recover()
	if value == nil {
		return
	}
	if !causedByFile(value) {
		panic(value)
	}
	h.broken.Store(true)
	*err = &DamageError{Path: h.path, Err: fmt.Errorf("%w: %v", errFault, value)}
}

// closeWait is how long closing a database may take whose mutexes may be
// locked.
const closeWait = time.Second

// close closes the database after its last transaction. What was committed is
// on disk, so closing can lose nothing.
func (h *handle) close() {
	if !h.stuck.Load() {
		_ = h.bolt.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.guarded(h.bolt.Close)
	}()
	select {
	case <-done:
	case <-time.After(closeWait):
	}
	// The mapping may stay, and with it the open file and the lock that bbolt
	// put on it, unless that is given back.
	_ = unix.Flock(int(h.file.Fd()), unix.LOCK_UN)
	_ = h.file.Close()
}
