package flock

import (
	"context"
	"os"
	"slices"
	"sync"
)

// Queue is where this process waits for locks. The system calls that wait for
// a lock block a thread and cannot be interrupted, so each runs in a goroutine
// of its own, with a file of its own, and whoever asked for the lock can leave
// before it returns. An attempt that was left so is taken over by the next one
// who wants the same lock, along with its place in the kernel's queue; so there
// are never more threads than there have been callers at one time. One that
// nobody takes over gives the lock back as soon as it gets it.
//
// The zero value is ready for use, by several goroutines.
type Queue struct {
	mu   sync.Mutex
	left map[string][]*attempt // nobody waits for their outcome
}

// attempt is a system call that waits for a lock.
type attempt struct {
	file *os.File
	done chan struct{} // closed when err is set
	err  error
}

// take waits for a lock until ctx ends, and returns the file that it belongs
// to. The name tells apart the locks that are waited for; open opens a file and
// lock waits for its lock.
func (q *Queue) take(ctx context.Context, name string, open func() (*os.File, error), lock func(*os.File) error) (*os.File, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	a := q.takeOver(name)
	if a == nil {
		file, err := open()
		if err != nil {
			return nil, err
		}
		a = &attempt{file: file, done: make(chan struct{})}
		go func() { q.finish(name, a, lock(file)) }()
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		if q.leave(name, a) {
			return nil, context.Cause(ctx)
		}
	}
	if a.err != nil {
		_ = a.file.Close()
		return nil, a.err
	}
	return a.file, nil
}

// takeOver returns an attempt that somebody has left, or nil.
func (q *Queue) takeOver(name string) *attempt {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.left[name]
	if len(left) == 0 {
		return nil
	}
	q.setLeft(name, left[1:])
	return left[0]
}

// leave notes that nobody waits for an attempt any more. It returns false if
// that comes too late, because the attempt has ended.
func (q *Queue) leave(name string, a *attempt) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-a.done:
		return false
	default:
		q.setLeft(name, append(q.left[name], a))
		return true
	}
}

// finish hands over the outcome of an attempt.
func (q *Queue) finish(name string, a *attempt, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a.err = err
	close(a.done)
	if i := slices.Index(q.left[name], a); i >= 0 {
		q.setLeft(name, slices.Delete(q.left[name], i, i+1))
		_ = a.file.Close() // and with it the lock
	}
}

// setLeft replaces the attempts of one name that were left. The caller holds
// the mutex.
func (q *Queue) setLeft(name string, left []*attempt) {
	switch {
	case len(left) == 0:
		delete(q.left, name)
	case q.left == nil:
		q.left = map[string][]*attempt{name: left}
	default:
		q.left[name] = left
	}
}
