package flock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{"holder": holder, "counter": counter})
}

// holder takes the lock args[0], says so, and keeps it until it dies.
func holder(ctx context.Context, args []string) error {
	l, err := flock.OpenRW(args[0])
	if err != nil {
		return err
	}
	if err := l.Acquire(ctx, flock.Exclusive, alone()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "held")
	<-ctx.Done()
	l.Release() // so that nobody collects it before
	return nil
}

func startHolder(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	child := testutil.Child(t, "holder", path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return child
}

func TestLockOfAProcessThatIsKilledIsFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	child := startHolder(t, path)
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l := openRW(t, path)
	err := givesUp(t, l, flock.Shared)
	busy, ok := errors.AsType[*flock.BusyError](err)
	if !ok || len(busy.Holders) != 1 || busy.Holders[0].PID != child.Process.Pid || busy.Holders[0].Command == "" {
		t.Fatalf("the stopped process is not named: %v", err)
	}
	waiting := waits(t.Context(), t, l, flock.Shared)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := waiting.Result(); err != nil {
		t.Fatal(err)
	}
}

// counter adds one to the number in the file args[1] under the lock args[0],
// args[2] times from several goroutines, and gives up waiting now and then.
func counter(ctx context.Context, args []string) error {
	times, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	const workers = 3
	errs := make(chan error, workers)
	for range workers {
		go func() { errs <- count(ctx, args[0], args[1], times) }()
	}
	for range workers {
		err = errors.Join(err, <-errs)
	}
	return err
}

func count(ctx context.Context, lock, file string, times int) error {
	l, err := flock.OpenRW(lock)
	if err != nil {
		return err
	}
	defer l.Close()
	for n := 0; n < times; {
		patience, cancel := context.WithTimeout(ctx, time.Duration(n%7)*time.Millisecond)
		err := l.Acquire(patience, flock.Exclusive, alone())
		cancel()
		if errors.Is(err, model.ErrBusy) || errors.Is(err, context.DeadlineExceeded) {
			if err := l.Acquire(ctx, flock.Shared, alone()); err != nil {
				return err
			}
			l.Release()
			if err := l.Acquire(ctx, flock.Exclusive, alone()); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		err = addOne(file)
		l.Release()
		if err != nil {
			return err
		}
		n++
	}
	return nil
}

func addOne(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strconv.Itoa(n+1)), 0o600)
}

func TestProcessesThatGiveUpNowAndThenExcludeEachOther(t *testing.T) {
	const processes, times = 3, 60
	dir := t.TempDir()
	file := filepath.Join(dir, "number")
	if err := os.WriteFile(file, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for range processes {
		child := testutil.Child(t, "counter", filepath.Join(dir, "lock"), file, strconv.Itoa(times))
		running.Go(func() {
			if err := child.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	text, err := os.ReadFile(file)
	if want := strconv.Itoa(processes * 3 * times); err != nil || string(text) != want {
		t.Errorf("counted to %q instead of %s (%v)", text, want, err)
	}
}
