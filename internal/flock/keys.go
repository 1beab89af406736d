package flock

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Keys are locks by key between processes and between goroutines. They share
// one lock file, in which each key has a byte of its own that is locked by
// F_OFD_SETLKW (fcntl_locking(2)): the file stays empty however many keys
// there are. Two keys may in theory share a byte; the chance is that of two
// 62-bit hashes being equal.
type Keys struct{ path string }

// NewKeys returns the locks that live in the file path, which is created when
// the first of them is taken.
func NewKeys(path string) *Keys { return &Keys{path: path} }

// KeyLock is a lock that is held.
type KeyLock struct{ file *os.File }

// Unlock gives the lock back.
func (l *KeyLock) Unlock() {
	// Closing the open file description drops its locks.
	_ = l.file.Close()
}

// Lock takes the lock of key, and waits for it until ctx ends.
func (k *Keys) Lock(ctx context.Context, key string, mode Mode) (*KeyLock, error) {
	lock, err := k.TryLock(key, mode)
	if lock != nil || err != nil {
		return lock, err
	}
	file, err := openLockFile(k.path)
	if err != nil {
		return nil, err
	}
	acquire := func() error { return setLock(file, key, mode, unix.F_OFD_SETLKW) }
	err = await(ctx, acquire, func(error) { _ = file.Close() })
	switch {
	case err == nil:
		return &KeyLock{file}, nil
	case isCause(ctx, err):
		return nil, &BusyError{Path: fmt.Sprintf("%s (%s)", k.path, key), Err: err}
	default:
		_ = file.Close()
		return nil, fmt.Errorf("lock %s (%s): %w", k.path, key, err)
	}
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

// setLock locks the byte of key.
func setLock(f *os.File, key string, mode Mode, command int) error {
	defer runtime.KeepAlive(f)
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
	for {
		err := unix.FcntlFlock(f.Fd(), command, &lock)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
