package flock

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Keys are locks by key between processes and between goroutines. They share
// one lock file, in which each key has a byte of its own that is locked by
// F_OFD_SETLKW (fcntl_locking(2)): the file stays empty however many keys
// there are. Two keys may in theory share a byte; the chance is that of two
// 62-bit hashes being equal.
type Keys struct {
	path  string
	queue Queue
}

// NewKeys returns the locks that live in the file path, which is created when
// the first of them is taken.
func NewKeys(path string) *Keys { return &Keys{path: path} }

// KeyLock is a lock that is held.
type KeyLock struct{ file *os.File }

// Unlock gives the lock back.
func (l *KeyLock) Unlock() {
	// Closing drops the locks only when nobody else has the open file
	// description: a process that this one is starting just now has it until it
	// runs another program.
	_ = control(l.file, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Whence: unix.SEEK_SET})
	_ = l.file.Close()
}

// Lock takes the lock of key, and waits for it until ctx ends.
func (k *Keys) Lock(ctx context.Context, key string, mode Mode) (*KeyLock, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("lock %s (%s): %w", k.path, key, err)
	}
	lock, err := k.TryLock(key, mode)
	if lock != nil || err != nil {
		return lock, err
	}
	open := func() (*os.File, error) { return openLockFile(k.path) }
	wait := func(f *os.File) error { return setLock(f, key, mode, unix.F_OFD_SETLKW) }
	file, err := k.queue.take(ctx, mode.String()+" "+key, open, wait)
	if err != nil {
		// The kernel does not tell who holds such a lock.
		return nil, ended(ctx, fmt.Sprintf("%s (%s)", k.path, key), err, func() []Holder { return nil })
	}
	return &KeyLock{file}, nil
}

// TryLock takes the lock of key if that is possible at once, and returns nil
// if it is not.
func (k *Keys) TryLock(key string, mode Mode) (*KeyLock, error) {
	file, err := openLockFile(k.path)
	if err != nil {
		return nil, err
	}
	err = setLock(file, key, mode, unix.F_OFD_SETLK)
	if err == nil {
		return &KeyLock{file}, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	return nil, fmt.Errorf("lock %s (%s): %w", k.path, key, err)
}

// Held tells whether somebody holds the lock of key so that it could not be
// taken in the given mode at this moment. It takes no lock, and makes no lock
// file.
func (k *Keys) Held(key string, mode Mode) (bool, error) {
	file, err := os.OpenFile(k.path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock file: %w", err)
	}
	defer func() { _ = file.Close() }()
	lock := keyLock(key, mode)
	if err := control(file, unix.F_OFD_GETLK, &lock); err != nil {
		return false, fmt.Errorf("lock %s (%s): %w", k.path, key, err)
	}
	return lock.Type != unix.F_UNLCK, nil
}

// setLock locks the byte of key.
func setLock(f *os.File, key string, mode Mode, command int) error {
	lock := keyLock(key, mode)
	return control(f, command, &lock)
}

// keyLock describes the lock of key.
func keyLock(key string, mode Mode) unix.Flock_t {
	hash := sha256.Sum256([]byte(key))
	lock := unix.Flock_t{
		Type:   unix.F_RDLCK,
		Whence: unix.SEEK_SET,
		Start:  int64(binary.LittleEndian.Uint64(hash[:8]) >> 2),
		Len:    1,
	}
	if mode == Exclusive {
		lock.Type = unix.F_WRLCK
	}
	return lock
}

// control applies an operation of fcntl_locking(2), which a signal may
// interrupt.
func control(f *os.File, command int, lock *unix.Flock_t) error {
	defer runtime.KeepAlive(f)
	for {
		err := unix.FcntlFlock(f.Fd(), command, lock)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
