package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
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
// while a writer waits stays in front of the turnstile.
//
// One RW holds the lock at most once. Several users in one process share it
// through the callbacks of Acquire; RW.Acquire is safe for concurrent use, but
// each successful call needs one Release by whoever uses the lock last.
type RW struct {
	turnstile, lock *os.File
	// gate admits one goroutine at a time to the turnstile, so that a process
	// has at most one thread waiting in the kernel.
	gate chan struct{}

	closing sync.Once
}

// OpenRW opens the lock whose files are path and path with ".queue" appended,
// creating them if need be.
func OpenRW(path string) (*RW, error) {
	lock, err := openLockFile(path)
	if err != nil {
		return nil, err
	}
	turnstile, err := openLockFile(path + ".queue")
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &RW{turnstile: turnstile, lock: lock, gate: make(chan struct{}, 1)}, nil
}

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
// first, the error matches the cause of that and a *BusyError that names the
// processes that are in the way.
func (l *RW) Acquire(ctx context.Context, mode Mode, hooks Hooks) error {
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return l.busy(ctx, context.Cause(ctx))
	}
	ownGate := true
	defer func() {
		if ownGate {
			<-l.gate
		}
	}()

	free, err := tryFlock(l.turnstile, Exclusive)
	if err == nil && !free {
		acquire := func() error { return flock(l.turnstile, Exclusive.operation()) }
		err = await(ctx, acquire, func(err error) {
			if err == nil {
				unlock(l.turnstile)
			}
			<-l.gate
		})
		ownGate = err == nil || !isCause(ctx, err)
	}
	if err != nil {
		return l.busy(ctx, err)
	}
	ownTurnstile := true
	defer func() {
		if ownTurnstile {
			unlock(l.turnstile)
		}
	}()

	if hooks.Join() {
		return nil
	}
	select {
	case <-hooks.Idle():
	case <-ctx.Done():
		return l.busy(ctx, context.Cause(ctx))
	}
	free, err = tryFlock(l.lock, mode)
	if err == nil && !free {
		acquire := func() error { return flock(l.lock, mode.operation()) }
		err = await(ctx, acquire, func(err error) {
			if err == nil {
				unlock(l.lock)
			}
			unlock(l.turnstile)
			<-l.gate
		})
		ownGate = err == nil || !isCause(ctx, err)
		ownTurnstile = ownGate
	}
	if err != nil {
		return l.busy(ctx, err)
	}
	if err := hooks.Opened(); err != nil {
		unlock(l.lock)
		return err
	}
	return nil
}

// isCause tells whether err is how the end of ctx shows, which means that the
// wait was given up rather than refused by the kernel.
func isCause(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
}

// Release gives the lock back.
func (l *RW) Release() { unlock(l.lock) }

// Close closes the lock files. A goroutine that waits for the lock, or that
// still sits in the kernel's queue after its context has ended, is let through
// first.
func (l *RW) Close() {
	l.closing.Do(func() {
		go func() {
			l.gate <- struct{}{}
			_ = l.turnstile.Close()
			_ = l.lock.Close()
		}()
	})
}

// busy turns the end of a wait into an error that says who was in the way.
func (l *RW) busy(ctx context.Context, err error) error {
	if !isCause(ctx, err) {
		return fmt.Errorf("lock %s: %w", l.lock.Name(), err)
	}
	holders := append(Holders(l.lock), Holders(l.turnstile)...)
	return &BusyError{Path: l.lock.Name(), Holders: holders, Err: err}
}
