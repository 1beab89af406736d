package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// handle is a bbolt database that is open.
type handle struct {
	path     string
	file     *os.File // the one that bolt uses
	bolt     *bbolt.DB
	writable bool

	// Guarded by file.mu:
	users  int
	broken bool
}

const (
	// mapSize is how much address space is set aside for the database beyond
	// its size, so that bbolt need not map it anew, for which it would have to
	// wait for all readers.
	mapSize = 256 << 20
	// foreignLockWait is how long one attempt waits for the lock that bbolt
	// itself puts on the file. Only a foreign program can hold that, and it
	// does not know our own lock.
	foreignLockWait = 200 * time.Millisecond
)

// openHandle opens an existing database. The caller holds our own lock.
func openHandle(ctx context.Context, path string, writable, noSync bool) (h *handle, err error) {
	h = &handle{path: path, writable: writable}
	defer func() {
		if err != nil && h.file != nil {
			// After a panic bbolt leaves the file open, and locked.
			_ = h.file.Close()
		}
	}()
	defer catch(path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	options := &bbolt.Options{
		ReadOnly:        !writable,
		NoSync:          noSync,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapSize,
		Timeout:         foreignLockWait,
		OpenFile:        h.openFile,
	}
	for {
		h.bolt, err = bbolt.Open(path, 0o600, options)
		if !errors.Is(err, bolterrors.ErrTimeout) {
			break
		}
		if ctx.Err() != nil {
			return nil, h.foreignBusy(context.Cause(ctx))
		}
	}
	if err != nil {
		return nil, classify(path, err)
	}
	h.bolt.AllocSize = growStep
	return h, nil
}

// openFile opens the file for bbolt, which would make it if it did not exist.
func (h *handle) openFile(path string, flag int, _ os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Size() == 0 || !info.Mode().IsRegular() {
		// bbolt would fill an empty file with an empty database.
		return nil, errors.Join(fmt.Errorf("%w: not a database but an empty or special file", model.ErrCorrupt), f.Close())
	}
	if h.file == nil { // bbolt opens the file once more to copy it
		h.file = f
	}
	return f, nil
}

// foreignBusy says who holds bbolt's own lock.
func (h *handle) foreignBusy(cause error) error {
	f, err := os.Open(h.path)
	if err != nil {
		return &flock.BusyError{Path: h.path, Err: cause}
	}
	defer func() { _ = f.Close() }()
	return &flock.BusyError{Path: h.path, Holders: flock.Holders(f), Err: cause}
}

// view runs fn in a read transaction.
func (h *handle) view(fn func(*bbolt.Tx) error) (err error) {
	return h.transact(false, func(tx *bbolt.Tx) error { return fn(tx) })
}

// update runs fn in a write transaction and commits it if fn changed anything.
func (h *handle) update(fn func(*bbolt.Tx, *space) (changed bool, err error)) error {
	return h.transact(true, func(tx *bbolt.Tx) error {
		space, err := h.reserve(tx)
		if err != nil {
			return err
		}
		if changed, err := fn(tx, space); err != nil || !changed {
			return err
		}
		if err := tx.Commit(); err != nil {
			return &CommitError{Err: classify(h.path, err)}
		}
		return nil
	})
}

// transact begins a transaction, runs fn in it, and rolls it back unless fn
// has committed it. A panic or a memory fault that comes from bbolt or from
// the mapped file becomes an error; any other panic goes on after the
// transaction has been rolled back.
func (h *handle) transact(writable bool, fn func(*bbolt.Tx) error) (err error) {
	defer catch(h.path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := h.bolt.Begin(writable)
	if err != nil {
		return classify(h.path, err)
	}
	// After a commit this answers that the transaction is closed.
	defer func() { _ = tx.Rollback() }()
	return fn(tx)
}

// closeWait is how long closing a broken database may take. bbolt may wait for
// a lock that a panic has left locked.
const closeWait = time.Second

// close closes the database after its last transaction.
func (h *handle) close() {
	if !h.broken {
		// What was committed is on disk: closing can lose nothing.
		_ = h.bolt.Close()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		defer catch(h.path, &err)
		_ = h.bolt.Close()
	}()
	select {
	case <-done:
	case <-time.After(closeWait):
	}
	// Frees the lock that bbolt put on the file; its mapping may stay.
	_ = h.file.Close()
}
