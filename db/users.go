package db

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/csdb/csdb/internal/flock"
)

// User is a process that uses a database at this moment, or waits for it.
type User struct {
	PID     int
	Command string // its command line, shortened
	// Waiting tells that it waits for others.
	Waiting bool
	// Mode is "exclusive" or "shared", or "" if that cannot be seen yet.
	Mode string
	// Foreign tells that it has not asked for the lock that csdb asks for first:
	// it is another program, or one that reads a store without lock files.
	Foreign bool
}

// Users returns the processes that use the database in the directory root, and
// then those that wait for it, as far as the kernel shows them: processes of
// another PID namespace may be missing. It takes no lock. A process that does
// both, with two transactions, is there twice.
func Users(root string) ([]User, error) {
	locks := make(map[string][]flock.Lock)
	path := filepath.Join(root, LockName)
	for _, name := range []string{path, flock.QueuePath(path), filepath.Join(root, FileName)} {
		f, _, err := openRegular(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		locks[name] = flock.Locks(f)
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	var u users
	for _, lock := range locks[path] {
		u.add(User{PID: lock.PID, Command: lock.Command, Waiting: lock.Waiting, Mode: lock.Mode.String()})
	}
	// Whoever has the turnstile is about to wait for the lock, does so, or has just
	// got it. Of those behind him nobody can see what for.
	for _, lock := range locks[flock.QueuePath(path)] {
		if lock.Waiting || !u.has(lock.PID) {
			u.add(User{PID: lock.PID, Command: lock.Command, Waiting: true})
		}
	}
	for _, lock := range locks[filepath.Join(root, FileName)] {
		if !u.has(lock.PID) {
			u.add(User{PID: lock.PID, Command: lock.Command, Waiting: lock.Waiting, Mode: lock.Mode.String(), Foreign: true})
		}
	}
	slices.SortStableFunc(u, byPlace)
	return u, nil
}

// byPlace orders those who have what they want before those who wait. These are
// in the order of the queue already, and the others in none.
func byPlace(a, b User) int {
	switch {
	case a.Waiting && b.Waiting:
		return 0
	case a.Waiting:
		return 1
	case b.Waiting:
		return -1
	}
	return cmp.Compare(a.PID, b.PID)
}

// users are processes.
type users []User

func (u *users) add(user User) {
	if !slices.Contains(*u, user) {
		*u = append(*u, user)
	}
}

func (u users) has(pid int) bool {
	return slices.ContainsFunc(u, func(user User) bool { return user.PID == pid })
}
