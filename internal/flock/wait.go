package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
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

// unlock gives a lock of flock(2) back. That cannot fail on an open file.
func unlock(f *os.File) { _ = flock(f, unix.LOCK_UN) }

// await runs acquire, which blocks in the kernel and cannot be interrupted,
// and waits for it until ctx ends. In that case acquire goes on in its
// goroutine, and giveUp is called there with its result.
func await(ctx context.Context, acquire func() error, giveUp func(error)) error {
	var settled atomic.Bool // by the goroutine, or by the end of ctx
	done := make(chan error, 1)
	go func() {
		err := acquire()
		if settled.CompareAndSwap(false, true) {
			done <- err
		} else {
			giveUp(err)
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			return context.Cause(ctx)
		}
		return <-done
	}
}

// openLockFile opens a lock file for reading and writing, making it if need
// be. On a read-only file system an existing file can still be locked shared.
func openLockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, unix.EROFS) {
		f, err = os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	return f, nil
}
