package flock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// alone are the hooks of a user who shares the lock with nobody in his
// process.
func alone() flock.Hooks {
	idle := make(chan struct{})
	close(idle)
	return flock.Hooks{
		Join:   func() bool { return false },
		Idle:   func() <-chan struct{} { return idle },
		Opened: func() error { return nil },
	}
}

func openRW(t *testing.T, path string) *flock.RW {
	t.Helper()
	l, err := flock.OpenRW(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func acquire(t *testing.T, l *flock.RW, mode flock.Mode) {
	t.Helper()
	if err := l.Acquire(t.Context(), mode, alone()); err != nil {
		t.Fatal(err)
	}
}

// waits starts an Acquire and returns when it stands in the kernel's queue.
func waits(ctx context.Context, t *testing.T, l *flock.RW, mode flock.Mode) *testutil.Call {
	t.Helper()
	c := testutil.Start(func() error { return l.Acquire(ctx, mode, alone()) })
	c.AwaitWait(t, "flock.(*Queue).take")
	awaitQueue(t)
	return c
}

// givesUp starts an Acquire, ends its context when it waits, and returns its
// error.
func givesUp(t *testing.T, l *flock.RW, mode flock.Mode) error {
	t.Helper()
	return testutil.GiveUp(t, "flock.(*Queue).take", func(ctx context.Context) error { return l.Acquire(ctx, mode, alone()) })
}

// awaitQueue waits until every attempt of this process to take a lock of
// flock(2) stands in the kernel's queue: who stands in front of whom depends on
// that.
func awaitQueue(t *testing.T) {
	t.Helper()
	own := strconv.Itoa(os.Getpid())
	testutil.Eventually(t, "the kernel has queued all attempts", func() bool {
		buf := make([]byte, 1<<20)
		attempts := strings.Count(string(buf[:runtime.Stack(buf, true)]), "\ngithub.com/csdb/csdb/internal/flock.(*Queue).take.func")
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(locks)) {
			// As in "1: -> FLOCK  ADVISORY  WRITE 1234 fe:00:567 0 EOF".
			if fields := strings.Fields(line); len(fields) > 5 && fields[1] == "->" && fields[5] == own {
				attempts--
			}
		}
		return attempts <= 0
	})
}

func TestReadersShareAndWritersExclude(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	reader, other, writer := openRW(t, path), openRW(t, path), openRW(t, path)

	acquire(t, reader, flock.Shared)
	acquire(t, other, flock.Shared)
	done := waits(t.Context(), t, writer, flock.Exclusive)
	reader.Release()
	other.Release()
	if err := done.Result(); err != nil {
		t.Fatal(err)
	}
	done = waits(t.Context(), t, reader, flock.Shared)
	writer.Release()
	if err := done.Result(); err != nil {
		t.Fatal(err)
	}
}

func TestReaderStaysBehindWaitingWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, writer, late := openRW(t, path), openRW(t, path), openRW(t, path)

	acquire(t, first, flock.Shared)
	writing := waits(t.Context(), t, writer, flock.Exclusive)
	reading := waits(t.Context(), t, late, flock.Shared)
	first.Release()
	if err := writing.Result(); err != nil {
		t.Fatal(err)
	}
	// By now the reader waits for the writer alone.
	reading.AwaitWait(t, "flock.(*Queue).take")
	writer.Release()
	if err := reading.Result(); err != nil {
		t.Fatal(err)
	}
}

func TestOverlappingReadersDoNotStarveWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		l := openRW(t, path)
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := l.Acquire(t.Context(), flock.Shared, alone()); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(2 * time.Millisecond)
				l.Release()
			}
		})
	}
	writer := openRW(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 20 {
		if err := writer.Acquire(ctx, flock.Exclusive, alone()); err != nil {
			t.Error(err)
			break
		}
		writer.Release()
	}
	close(stop)
	readers.Wait()
}

func TestWaitEndsWithContextAndNamesHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiter := openRW(t, path), openRW(t, path)
	acquire(t, holder, flock.Exclusive)

	err := givesUp(t, waiter, flock.Shared)
	if !errors.Is(err, model.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	var busy *flock.BusyError
	if !errors.As(err, &busy) || len(busy.Holders) == 0 || busy.Holders[0].PID != os.Getpid() {
		t.Fatalf("the holder is not named: %v", err)
	}
	if !strings.Contains(err.Error(), "flock.test") {
		t.Errorf("the command of the holder is not named: %v", err)
	}
}

func TestCustomCauseIsStillBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiter := openRW(t, path), openRW(t, path)
	acquire(t, holder, flock.Exclusive)
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := waits(ctx, t, waiter, flock.Exclusive)
	cancel(why)
	if err := done.Result(); !errors.Is(err, model.ErrBusy) || !errors.Is(err, why) {
		t.Fatalf("got %v", err)
	}
}

// A wait that was given up must neither keep the lock when its turn comes nor
// keep others of its process out.
func TestAbandonedWaitLeavesNothingBehind(t *testing.T) {
	for _, name := range []string{"in front of the turnstile", "in front of the lock"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			holder, between, waiter := openRW(t, path), openRW(t, path), openRW(t, path)
			acquire(t, holder, flock.Exclusive)
			var blocked *testutil.Call
			if name == "in front of the turnstile" {
				blocked = waits(t.Context(), t, between, flock.Exclusive)
			}
			ctx, cancel := context.WithCancel(t.Context())
			abandoned := waits(ctx, t, waiter, flock.Exclusive)
			cancel()
			if err := abandoned.Result(); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			again := waits(t.Context(), t, waiter, flock.Shared)
			holder.Release()
			if blocked != nil {
				if err := blocked.Result(); err != nil {
					t.Fatal(err)
				}
				between.Release()
			}
			if err := again.Result(); err != nil {
				t.Fatal(err)
			}
			waiter.Release()
			acquire(t, holder, flock.Exclusive)
		})
	}
}

// Only a writer who still waits keeps later readers back.
func TestWriterThatGaveUpLetsReadersPass(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	reader, writer, late := openRW(t, path), openRW(t, path), openRW(t, path)
	acquire(t, reader, flock.Shared)
	ctx, cancel := context.WithCancel(t.Context())
	writing := waits(ctx, t, writer, flock.Exclusive)
	reading := waits(t.Context(), t, late, flock.Shared)
	cancel()
	if err := writing.Result(); !errors.Is(err, model.ErrBusy) {
		t.Fatal(err)
	}
	if err := reading.Result(); err != nil {
		t.Fatal(err)
	}
	// The writer himself may read, too.
	acquire(t, writer, flock.Shared)
	late.Release()
	reader.Release()
	writer.Release()
	acquire(t, late, flock.Exclusive)
}

// Each wait blocks a thread that cannot be interrupted, and a process may only
// have so many. A hundred time-outs must not cost a hundred threads.
func TestAbandonedWaitsDoNotPileUp(t *testing.T) {
	for name, path := range map[string]string{"turnstile": "lock.queue", "lock": "lock"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			waiter := openRW(t, filepath.Join(dir, "lock"))
			holder, err := os.Open(filepath.Join(dir, path))
			if err != nil {
				t.Fatal(err)
			}
			defer holder.Close()
			if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			giveUp := func(mode flock.Mode) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if err := waiter.Acquire(ctx, mode, alone()); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
			}
			// From here on each mode has one attempt that goes on.
			for _, mode := range []flock.Mode{flock.Shared, flock.Exclusive} {
				if err := givesUp(t, waiter, mode); !errors.Is(err, model.ErrBusy) {
					t.Fatal(err)
				}
			}
			before := runtime.NumGoroutine()
			for range 100 {
				giveUp(flock.Shared)
				giveUp(flock.Exclusive)
			}
			testutil.Eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= before })
			if err := holder.Close(); err != nil {
				t.Fatal(err)
			}
			acquire(t, waiter, flock.Exclusive)
		})
	}
}

func TestEndedContextIsNotABusyLock(t *testing.T) {
	l := openRW(t, filepath.Join(t.TempDir(), "lock"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := l.Acquire(ctx, flock.Shared, alone())
	if !errors.Is(err, context.Canceled) || errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v", err)
	}
}

// Directories for temporary files are cleaned while they are in use.
func TestRemovedLockFilesAreReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	old := openRW(t, path)
	for _, name := range []string{path, flock.QueuePath(path)} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	acquire(t, old, flock.Exclusive)
	fresh := openRW(t, path)
	done := waits(t.Context(), t, fresh, flock.Shared)
	old.Release()
	if err := done.Result(); err != nil {
		t.Fatal(err)
	}
}

func TestFailureOfOpenedReleasesTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, other := openRW(t, path), openRW(t, path)
	hooks := alone()
	broken := errors.New("broken")
	hooks.Opened = func() error { return broken }
	if err := l.Acquire(t.Context(), flock.Exclusive, hooks); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	acquire(t, other, flock.Exclusive)
}

// One goroutine may name those in front of it while another one has found that
// the file was replaced.
func TestLockFileIsReplacedBesideWhoWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, l := openRW(t, path), openRW(t, path)
	acquire(t, holder, flock.Exclusive)
	if err := os.Remove(flock.QueuePath(path)); err != nil {
		t.Fatal(err)
	}
	var both []*testutil.Call
	var ends []context.CancelFunc
	for range 2 {
		ctx, end := context.WithCancel(t.Context())
		both = append(both, testutil.Start(func() error { return l.Acquire(ctx, flock.Exclusive, alone()) }))
		ends = append(ends, end)
	}
	for _, c := range both {
		c.AwaitWait(t, "flock.(*RW).Acquire")
	}
	for _, end := range ends {
		go end() // in which nothing orders what the two do for the race detector
	}
	for _, c := range both {
		if err := c.Result(); !errors.Is(err, model.ErrBusy) {
			t.Errorf("got %v", err)
		}
	}
}
