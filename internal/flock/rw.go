package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// RW is a readers-writer lock between processes, and between several RW on one
// path in one process. It is fair: whoever waits for it, reader or writer,
// gets it before those who come later. Plain flock(2) does not promise that,
// since readers that overlap can keep a writer out for ever.
//
// To that end there are two lock files. Whoever wants the lock takes the first
// one, the turnstile, exclusively; holding it, he waits for the second one in
// the mode he wants; having that, he lets go of the turnstile. Readers that
// hold the second file do not keep each other out, but a reader who comes
// while a writer waits stays in front of the turnstile. A writer who gives up
// lets go of the turnstile at once.
//
// One RW holds the lock at most once. Several users in one process share it
// through the callbacks of Acquire; RW.Acquire is safe for concurrent use, but
// each successful call needs one Release by whoever uses the lock last.
type RW struct {
	turnstile, lock lockFile
	// gate admits one goroutine at a time to the turnstile.
	gate chan struct{}

	mu   sync.Mutex
	held grip // of the lock
}

// OpenRW opens the lock whose files are path and path with ".queue" appended,
// creating them if need be.
func OpenRW(path string) (*RW, error) {
	lock, err := openLockFile(path)
	if err != nil {
		return nil, err
	}
	turnstile, err := openLockFile(QueuePath(path))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l := &RW{gate: make(chan struct{}, 1)}
	l.turnstile.file.Store(turnstile)
	l.lock.file.Store(lock)
	return l, nil
}

// QueuePath returns the path of the turnstile of the lock path.
func QueuePath(path string) string { return path + ".queue" }

// Hooks let the users of one RW in a process share the lock. They are called
// one after the other and never at the same time as those of another Acquire,
// in this order.
type Hooks struct {
	// Join is asked first: true means that the lock is held already in a mode
	// that will do, and that the caller has noted himself as another user.
	Join func() bool
	// Idle returns a channel that is closed when the users of this process
	// that hold the lock in a mode that will not do have released it.
	Idle func() <-chan struct{}
	// Opened is called when the lock has been taken. If it fails, the lock is
	// released again.
	Opened func() error
}

// Acquire takes the lock, or joins the users that hold it already. If ctx ends
// while it waits, the error matches the cause of that and is a *BusyError that
// names the processes that are in the way.
func (l *RW) Acquire(ctx context.Context, mode Mode, hooks Hooks) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("lock %s: %w", l.lock.file.Load().Name(), err)
	}
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return l.ended(ctx, context.Cause(ctx), l.inFront)
	}
	defer func() { <-l.gate }()

	turnstile, err := l.turnstile.take(ctx, Exclusive)
	if err != nil {
		return l.ended(ctx, err, l.inFront)
	}
	defer turnstile.letGo()

	if hooks.Join() {
		return nil
	}
	select {
	case <-hooks.Idle():
	case <-ctx.Done():
		return l.ended(ctx, context.Cause(ctx), l.Holders)
	}
	held, err := l.lock.take(ctx, mode)
	if err != nil {
		return l.ended(ctx, err, l.Holders)
	}
	l.mu.Lock()
	l.held = held
	l.mu.Unlock()
	if err := hooks.Opened(); err != nil {
		l.Release()
		return err
	}
	return nil
}

// Release gives the lock back.
func (l *RW) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.letGo()
}

// WriteAt writes to the lock file at an offset. The caller holds the lock
// exclusively; what is in the file is of no importance to the lock.
func (l *RW) WriteAt(b []byte, at int64) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held.file.WriteAt(b, at)
}

// Close closes the lock files. Nobody may hold the lock or be waiting for it.
func (l *RW) Close() {
	_ = l.turnstile.file.Load().Close()
	_ = l.lock.file.Load().Close()
}

// ended describes why a wait for the lock has ended.
func (l *RW) ended(ctx context.Context, err error, holders func() []Holder) error {
	return ended(ctx, l.lock.file.Load().Name(), err, holders)
}

// Holders returns the processes that hold the lock.
func (l *RW) Holders() []Holder { return Holders(l.lock.file.Load()) }

// inFront returns the processes that hold the lock and the one that holds the
// turnstile, if that is another one: other goroutines of this process are of
// interest only if they are all there is.
func (l *RW) inFront() []Holder {
	waiting := slices.DeleteFunc(Holders(l.turnstile.file.Load()), func(h Holder) bool { return h.PID == os.Getpid() })
	return append(l.Holders(), waiting...)
}

// lockFile is one of the files of an RW. Its methods are not called at the same
// time.
type lockFile struct {
	// file is what the lock is taken on if that needs no waiting. Whoever waits
	// for his turn may look at it meanwhile.
	file  atomic.Pointer[os.File]
	queue Queue
}

// grip is a lock that is held.
type grip struct {
	file *os.File
	own  bool // file is there for this grip alone
}

// letGo gives the lock back.
func (g grip) letGo() {
	if g.own {
		_ = g.file.Close()
	} else {
		_ = flock(g.file, unix.LOCK_UN) // which cannot fail on an open file
	}
}

// take takes the lock of the file in a mode. If somebody has removed the file
// meanwhile, as may happen in a directory for temporary files, the lock is
// taken on the one that replaces it.
func (l *lockFile) take(ctx context.Context, mode Mode) (grip, error) {
	for {
		locked, err := l.takeAny(ctx, mode)
		if err != nil || !unlinked(locked.file) {
			return locked, err
		}
		fresh, err := openLockFile(l.file.Load().Name())
		if err == nil && sameFile(fresh, locked.file) {
			_ = fresh.Close() // the file system does not count links
			return locked, nil
		}
		locked.letGo()
		if err != nil {
			return grip{}, err
		}
		_ = l.file.Swap(fresh).Close()
	}
}

// takeAny takes the lock of the file, removed or not.
func (l *lockFile) takeAny(ctx context.Context, mode Mode) (grip, error) {
	file := l.file.Load()
	free, err := tryFlock(file, mode)
	if free || err != nil {
		return grip{file: file}, err
	}
	open := func() (*os.File, error) { return openLockFile(l.file.Load().Name()) }
	wait := func(f *os.File) error { return flock(f, mode.operation()) }
	file, err = l.queue.take(ctx, mode.String(), open, wait)
	return grip{file: file, own: true}, err
}

// unlinked tells whether a file has no name any more.
func unlinked(f *os.File) bool {
	var stat unix.Stat_t
	return unix.Fstat(int(f.Fd()), &stat) == nil && stat.Nlink == 0
}

// sameFile tells whether two open files are one.
func sameFile(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
