package flock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestKeysAreIndependent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	keys := flock.NewKeys(path)
	a, err := keys.Lock(t.Context(), "a", flock.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	b, err := keys.TryLock("b", flock.Exclusive)
	if err != nil || b == nil {
		t.Fatalf("another key is locked too: %v", err)
	}
	again, err := flock.NewKeys(path).TryLock("a", flock.Shared)
	if err != nil || again != nil {
		t.Fatalf("the key could be locked twice (%v)", err)
	}
	a.Unlock()
	again, err = keys.TryLock("a", flock.Shared)
	if err != nil || again == nil {
		t.Fatalf("the key stays locked: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("the lock file is not empty: %v", err)
	}
}

func TestKeyLockWaitsAndCanBeGivenUp(t *testing.T) {
	keys := flock.NewKeys(filepath.Join(t.TempDir(), "keys"))
	held, err := keys.Lock(t.Context(), "k", flock.Shared)
	if err != nil {
		t.Fatal(err)
	}
	lock := func(ctx context.Context) error {
		lock, err := keys.Lock(ctx, "k", flock.Exclusive)
		if err == nil {
			lock.Unlock()
		}
		return err
	}
	if err := testutil.GiveUp(t, "flock.(*Queue).take", lock); !errors.Is(err, model.ErrBusy) {
		t.Fatalf("got %v", err)
	}
	waiting := testutil.Start(func() error { return lock(t.Context()) })
	waiting.AwaitWait(t, "flock.(*Queue).take")
	held.Unlock()
	if err := waiting.Result(); err != nil {
		t.Fatal(err)
	}
}

// As for RW: who gives up leaves his place to the next one.
func TestAbandonedKeyWaitsDoNotPileUp(t *testing.T) {
	keys := flock.NewKeys(filepath.Join(t.TempDir(), "keys"))
	held, err := keys.Lock(t.Context(), "k", flock.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	lock := func(ctx context.Context) error { _, err := keys.Lock(ctx, "k", flock.Exclusive); return err }
	giveUp := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	// From here on there is one attempt that goes on.
	if err := testutil.GiveUp(t, "flock.(*Queue).take", lock); !errors.Is(err, model.ErrBusy) {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 50 {
		giveUp()
	}
	testutil.Eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
	held.Unlock()
	if held, err = keys.Lock(t.Context(), "k", flock.Exclusive); err != nil {
		t.Fatal(err)
	}
	held.Unlock()
}

// Every key has its own lock, however many goroutines want one at a time.
func TestKeyLocksExclude(t *testing.T) {
	keys := flock.NewKeys(filepath.Join(t.TempDir(), "keys"))
	counters := map[string]*atomic.Int64{"a": {}, "b": {}}
	var workers sync.WaitGroup
	for range 8 {
		for key, counter := range counters {
			workers.Go(func() {
				for range 50 {
					lock, err := keys.Lock(t.Context(), key, flock.Exclusive)
					if err != nil {
						t.Error(err)
						return
					}
					// Not one step, so that two at a time would lose one.
					n := counter.Load()
					runtime.Gosched()
					counter.Store(n + 1)
					lock.Unlock()
				}
			})
		}
	}
	workers.Wait()
	for key, counter := range counters {
		if counter.Load() != 8*50 {
			t.Errorf("%s was counted to %d", key, counter.Load())
		}
	}
}

// A process that is being started shares all open files until it runs its
// program, whatever is closed meanwhile.
func TestKeyIsFreeThoughAProcessIsBeingStarted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "locks")
	keys := flock.NewKeys(path)
	lock, err := keys.TryLock("key", flock.Exclusive)
	if err != nil || lock == nil {
		t.Fatalf("%v, %v", lock, err)
	}
	shared := duplicateOf(t, path)
	lock.Unlock()
	again, err := keys.TryLock("key", flock.Exclusive)
	if err != nil || again == nil {
		t.Fatalf("after it was given back: %v, %v", again, err)
	}
	again.Unlock()
	if err := unix.Close(shared); err != nil {
		t.Error(err)
	}
}

// duplicateOf returns another descriptor of a file that this process has open.
func duplicateOf(t *testing.T, path string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err != nil || target != path {
			continue
		}
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		shared, err := unix.Dup(number)
		if err != nil {
			t.Fatal(err)
		}
		return shared
	}
	t.Fatalf("%s is not open", path)
	return -1
}
