package db

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
)

// state is what a file is like.
type state struct {
	meta meta
	// changed is the time of the last change of the file (inode(7)). Somebody who
	// has brought back an older state in place, and then written to it, may have
	// come to the same numbers in the meta page by another way.
	changed unix.Timespec
}

// state returns what the file is like. The caller holds a lock on it.
func (h *handle) state() (state, error) {
	m, err := newestMeta(h.file)
	if err != nil {
		return state{}, err
	}
	var stat unix.Stat_t
	err = unix.Fstat(int(h.file.Fd()), &stat)
	return state{meta: m, changed: stat.Ctim}, err
}

// sleep gives back the lock that bbolt put on the file, so that others can
// write to it, and returns whether wake may be called later.
func (h *handle) sleep() bool {
	if h.broken.Load() {
		return false
	}
	var err error
	if h.slept, err = h.state(); err != nil {
		return false
	}
	return unix.Flock(int(h.file.Fd()), unix.LOCK_UN) == nil
}

// wake takes the lock of the file again for one user, if nothing has happened
// to it meanwhile. It returns false if the database has to be opened anew:
// somebody has written to the file or replaced it, or a foreign program is
// using it at this moment. The caller holds our own lock.
func (h *handle) wake(mode flock.Mode) bool {
	if mode == flock.Exclusive && !h.writable {
		return false
	}
	operation := unix.LOCK_SH
	if mode == flock.Exclusive {
		operation = unix.LOCK_EX
	}
	if unix.Flock(int(h.file.Fd()), operation|unix.LOCK_NB) != nil {
		return false
	}
	named, errNamed := os.Lstat(h.path)
	info, errOpen := h.file.Stat()
	now, errState := h.state()
	if errNamed != nil || errOpen != nil || errState != nil || !os.SameFile(named, info) || now != h.slept {
		return false
	}
	h.users, h.mode = 1, mode
	return true
}
