package flock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Mode is the way a lock is held.
type Mode int

// The modes of a lock.
const (
	Shared Mode = iota
	Exclusive
)

// operation returns the mode as an argument of flock(2).
func (m Mode) operation() int {
	if m == Exclusive {
		return unix.LOCK_EX
	}
	return unix.LOCK_SH
}

// Lock opens a file and takes the lock of flock(2) on it, for which it waits
// until ctx ends. The lock belongs to the file that it returns, and goes when
// that is closed. If ctx ends first, the error matches model.ErrBusy, is a
// *BusyError, and matches the cause of the end.
func (q *Queue) Lock(ctx context.Context, mode Mode, open func() (*os.File, error)) (*os.File, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	free, err := tryFlock(file, mode)
	if free {
		return file, nil
	}
	defer func() { _ = file.Close() }()
	var locked *os.File
	if err == nil {
		wait := func(f *os.File) error { return flock(f, mode.operation()) }
		locked, err = q.take(ctx, mode.String(), open, wait)
	}
	if err != nil {
		return nil, ended(ctx, file.Name(), err, func() []Holder { return Holders(file) })
	}
	return locked, nil
}

// String names the mode.
func (m Mode) String() string {
	if m == Exclusive {
		return "exclusive"
	}
	return "shared"
}

// ended describes the end of a wait for a lock: the context came to its end,
// or the kernel refused.
func ended(ctx context.Context, path string, err error, holders func() []Holder) error {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return &BusyError{Path: path, Holders: holders(), Err: err}
	}
	return fmt.Errorf("lock %s: %w", path, err)
}

// flock applies an operation of flock(2), which a signal may interrupt.
func flock(f *os.File, operation int) error {
	defer runtime.KeepAlive(f)
	for {
		err := unix.Flock(int(f.Fd()), operation)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// tryFlock takes a lock if that is possible at once.
func tryFlock(f *os.File, mode Mode) (bool, error) {
	err := flock(f, mode.operation()|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// openLockFile opens a lock file for reading and writing, making it if need
// be. On a read-only file system an existing file can still be locked.
func openLockFile(path string) (*os.File, error) {
	const flags = unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	for {
		f, err := os.OpenFile(path, os.O_RDWR|flags, 0)
		switch {
		case err == nil:
			return regular(f)
		case errors.Is(err, unix.EROFS):
			if f, err = os.OpenFile(path, os.O_RDONLY|flags, 0); err == nil {
				return regular(f)
			}
		case errors.Is(err, fs.ErrNotExist):
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|flags, 0o600)
			if errors.Is(err, fs.ErrExist) {
				continue // somebody else was faster
			}
			if err == nil {
				// Whatever the umask says.
				if err = f.Chmod(0o600); err == nil {
					return f, nil
				}
				_ = f.Close()
			}
		}
		return nil, fmt.Errorf("lock file: %w", err)
	}
}

// regular returns f if it is a regular file. A lock on a pipe or a device would
// be one on something else.
func regular(f *os.File) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("lock file %s: %w: not a regular file", f.Name(), model.ErrInvalid)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
