package db_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// Where those who use a database wait for others, see testutil.GiveUp: for
// processes, for transactions of this process that have it open in another mode,
// and for writers of this process.
const (
	inQueue      = "flock.(*Queue).take"
	whileOpen    = "flock.(*RW).Acquire"
	behindWriter = "db.(*file).awaitWriter"
)

func read(ctx context.Context, database *db.DB) error {
	return database.View(ctx, func(*db.ReadTx) error { return nil })
}

func write(ctx context.Context, database *db.DB) error {
	return database.Update(ctx, func(*db.Tx) error { return nil })
}

// wantHolder fails unless err says that a process was in the way.
func wantHolder(t *testing.T, err error, pid int, command string) {
	t.Helper()
	wantClass(t, err, model.ErrBusy)
	wantText(t, err, "process "+strconv.Itoa(pid), command)
	busy, ok := errors.AsType[*flock.BusyError](err)
	if !ok || len(busy.Holders) == 0 || busy.Holders[0].PID != pid {
		t.Errorf("the holder is not %d: %v", pid, err)
	}
}

func TestWaitEndsWithItsContextAndNamesTheHolder(t *testing.T) {
	for _, c := range []struct {
		name, holder string
		arg          func(*db.DB) string
		wait         func(context.Context, *db.DB) error
	}{
		{"writer for a writer", "writer", rootOf, write},
		{"reader for a writer", "writer", rootOf, read},
		{"writer for a reader", "reader", rootOf, write},
		{"writer for a program with bbolt", "foreign", (*db.DB).Path, write},
		{"reader for a program with bbolt", "foreign", (*db.DB).Path, read},
	} {
		t.Run(c.name, func(t *testing.T) {
			database := dbtest.New(t, db.Options{})
			h := startHolder(t, c.holder, c.arg(database))

			err := testutil.GiveUp(t, inQueue, func(ctx context.Context) error { return c.wait(ctx, database) })
			wantClass(t, err, context.DeadlineExceeded)
			wantHolder(t, err, h.Process.Pid, "db.test")

			canceled, cancel := context.WithCancelCause(t.Context())
			waiting := testutil.Start(func() error { return c.wait(canceled, database) })
			waiting.AwaitWait(t, inQueue)
			why := errors.New("shutting down")
			cancel(why)
			err = waiting.Result()
			wantClass(t, err, why)
			wantHolder(t, err, h.Process.Pid, "db.test")

			waiting = testutil.Start(func() error { return c.wait(t.Context(), database) })
			waiting.AwaitWait(t, inQueue)
			h.letGo(t)
			if err := waiting.Result(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReaderDoesNotWaitForAReader(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	h := startHolder(t, "reader", rootOf(database))
	if err := read(t.Context(), database); err != nil {
		t.Error(err)
	}
	h.letGo(t)
}

func TestWaitForAWriterOfTheSameProcessEndsWithItsContext(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	err := database.Update(t.Context(), func(*db.Tx) error {
		err := testutil.GiveUp(t, behindWriter, func(ctx context.Context) error { return write(ctx, database) })
		wantClass(t, err, context.DeadlineExceeded)
		wantHolder(t, err, os.Getpid(), "db.test")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriterWaitsForReadersOfTheSameProcess(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	var waiting *testutil.Call
	view(t, database, func(*db.ReadTx) error {
		// The readers hold the lock for reading only.
		err := testutil.GiveUp(t, whileOpen, func(ctx context.Context) error { return write(ctx, database) })
		wantClass(t, err, context.DeadlineExceeded)
		wantHolder(t, err, os.Getpid(), "db.test")
		waiting = testutil.Start(func() error { return write(t.Context(), database) })
		waiting.AwaitWait(t, whileOpen)
		return nil
	})
	if err := waiting.Result(); err != nil {
		t.Fatal(err)
	}
}

func TestEndedContextFailsAtOnce(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantClass(t, read(ctx, database), context.Canceled)
	wantClass(t, write(ctx, database), context.Canceled)
	_, err := db.Open(ctx, rootOf(database), db.Options{})
	wantClass(t, err, context.Canceled)
}

// A process that is stopped holds its locks; one that is killed does not, and
// what it had begun is undone.
func TestTransactionOfAStoppedProcessEndsWithTheProcess(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	h := startHolder(t, "writer", rootOf(database))
	if err := h.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	err := testutil.GiveUp(t, inQueue, func(ctx context.Context) error { return write(ctx, database) })
	wantHolder(t, err, h.Process.Pid, "db.test")

	waiting := testutil.Start(func() error { return write(t.Context(), database) })
	waiting.AwaitWait(t, inQueue)
	if err := h.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := waiting.Result(); err != nil {
		t.Fatal(err)
	}
	if ids := layerIDs(t, database); len(ids) > 0 {
		t.Errorf("the process has left %q", ids)
	}
}

// Goroutines that always have a transaction open keep the database open
// between them. Others must get their turn all the same.
func TestBusyProcessGivesWay(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	var turns [6]atomic.Int64
	for i := range turns {
		busy.Go(func() {
			work := read
			if i == 0 {
				work = func(ctx context.Context, database *db.DB) error {
					return database.Update(ctx, func(tx *db.Tx) error { return tx.App("busy").Put([]byte("k"), nil) })
				}
			}
			for ctx.Err() == nil {
				if err := work(ctx, database); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				turns[i].Add(1)
			}
		})
	}
	other := open(t, rootOf(database), db.Options{})
	for range 20 {
		update(t, other, func(tx *db.Tx) error { return tx.App("other").Put([]byte("k"), nil) })
	}
	for i := range turns {
		n := turns[i].Load()
		testutil.Eventually(t, fmt.Sprintf("goroutine %d has had another turn", i), func() bool { return turns[i].Load() > n })
	}
	stop()
	busy.Wait()
}

// Whoever waits sleeps, until it is his turn: the thread that waits is never
// switched to.
func TestWaitingDoesNotPoll(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	h := startHolder(t, "writer", rootOf(database))
	testutil.Eventually(t, "nobody waits", func() bool { return len(switches(t)) == 0 })
	ctx, cancel := context.WithCancel(t.Context())
	waiting := testutil.Start(func() error { return write(ctx, database) })
	waiting.AwaitWait(t, inQueue)
	// One that polls is not asleep in flock(2) at all, or switched to within each
	// of these times; a signal or the like comes once.
	testutil.Eventually(t, "nobody is switched to", func() bool {
		before := switches(t)
		time.Sleep(250 * time.Millisecond)
		return len(before) == 1 && maps.Equal(before, switches(t))
	})
	cancel()
	if err := waiting.Result(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h.letGo(t)
}

// switches counts the context switches of the threads of this process that are
// asleep in flock(2).
func switches(t *testing.T) map[string]int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	for _, task := range tasks {
		call, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
		if err != nil {
			t.Skipf("needs /proc/PID/task/TID/syscall: %v", err)
		}
		if isFlock(string(call)) {
			status := string(readFile(t, "/proc/self/task/"+task.Name()+"/status"))
			counts[task.Name()] = field(t, status, "voluntary_ctxt_switches:")
		}
	}
	return counts
}

// isFlock tells whether a line of /proc/PID/syscall (proc_pid_syscall(5)) shows
// a call of flock(2).
func isFlock(line string) bool {
	number, _, _ := strings.Cut(line, " ")
	return number == strconv.Itoa(unix.SYS_FLOCK)
}

// field returns the number behind a name in the status of a thread.
func field(t *testing.T, status, name string) int {
	t.Helper()
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", name)
	return 0
}
