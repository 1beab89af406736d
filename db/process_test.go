package db_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// addOne adds one to the counter of an embedding program.
func addOne(tx *db.Tx) error {
	app := tx.App("com.example.counter")
	var n uint64
	switch value, err := app.Get([]byte("n")); {
	case err == nil:
		n = binary.BigEndian.Uint64(value)
	case !errors.Is(err, model.ErrNotFound):
		return err
	}
	return app.Put([]byte("n"), binary.BigEndian.AppendUint64(nil, n+1))
}

func counterOf(t testing.TB, database *db.DB) (n uint64) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		value, err := tx.App("com.example.counter").Get([]byte("n"))
		if err == nil {
			n = binary.BigEndian.Uint64(value)
		}
		return err
	})
	return n
}

// count counts in the database args[0], args[1] times in each of some
// goroutines.
func count(ctx context.Context, args []string) error {
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	errs := make(chan error)
	for range countingGoroutines {
		go func() {
			for range times {
				if err := database.Update(ctx, addOne); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range countingGoroutines {
		err = errors.Join(err, <-errs)
	}
	return err
}

const countingGoroutines = 3

func TestProcessesLoseNoUpdate(t *testing.T) {
	const processes, times = 4, 25
	database := dbtest.New(t, db.Options{})
	var running sync.WaitGroup
	for range processes {
		child := testutil.Child(t, "count", rootOf(database), strconv.Itoa(times))
		running.Go(func() {
			if err := child.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if n := counterOf(t, database); n != processes*countingGoroutines*times {
		t.Errorf("counted to %d instead of %d", n, processes*countingGoroutines*times)
	}
}

// stress does all sorts of things with the database args[0] from many
// goroutines until its input ends, and gives up waiting at random. It says how
// often it has counted.
func stress(ctx context.Context, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	database, err := db.Open(context.WithoutCancel(ctx), args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	var counted int
	var mu sync.Mutex
	errs := make(chan error)
	const goroutines = 8
	for range goroutines {
		go func() {
			n, err := stressOne(ctx, database)
			mu.Lock()
			defer mu.Unlock()
			counted += n
			errs <- err
		}()
	}
	for range goroutines {
		err = errors.Join(err, <-errs)
	}
	fmt.Fprintln(os.Stdout, counted)
	return err
}

func stressOne(ctx context.Context, database *db.DB) (counted int, err error) {
	guarded := filepath.Join(filepath.Dir(database.Path()), db.LockName)
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(rand.IntN(4000))*time.Microsecond)
		if rand.IntN(3) > 0 {
			err = database.View(short, func(tx *db.ReadTx) error {
				return errors.Join(mustBeLocked(guarded, unix.LOCK_EX), second(tx.Usage()))
			})
		} else {
			err = database.Update(short, func(tx *db.Tx) error {
				return errors.Join(mustBeLocked(guarded, unix.LOCK_SH), addOne(tx))
			})
			if err == nil {
				counted++
			}
		}
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return counted, err
		}
	}
	return counted, nil
}

// mustBeLocked fails if a lock could be taken on a file.
func mustBeLocked(path string, operation int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), operation|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	return errors.Join(errors.New("a transaction runs without the lock"), err)
}

// stressed is a database under stress.
type stressed struct {
	inputs  []io.Closer
	outputs chan string
}

// startStress starts processes that use a database until end is called.
func startStress(t *testing.T, database *db.DB, processes int) *stressed {
	t.Helper()
	s := &stressed{outputs: make(chan string, processes)}
	for range processes {
		child := testutil.Child(t, "stress", rootOf(database))
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		s.inputs = append(s.inputs, in)
		go func() {
			out, err := child.Output()
			if err != nil {
				t.Error(err)
			}
			s.outputs <- strings.TrimSpace(string(out))
		}()
	}
	return s
}

// end ends the processes and returns how often they have counted.
func (s *stressed) end(t *testing.T) (sum uint64) {
	t.Helper()
	for _, in := range s.inputs {
		_ = in.Close()
	}
	for range s.inputs {
		n, err := strconv.ParseUint(<-s.outputs, 10, 64)
		if err != nil {
			t.Error(err)
		}
		sum += n
	}
	return sum
}

func TestStress(t *testing.T) {
	duration := 2 * time.Second
	if testing.Short() {
		duration /= 10
	}
	database := dbtest.New(t, db.Options{})
	update(t, database, addOne)
	processes := startStress(t, database, 4)
	time.Sleep(duration)
	want := 1 + processes.end(t)
	if n := counterOf(t, database); n != want {
		t.Errorf("counted to %d instead of %d", n, want)
	}
}

// creator makes a database in args[0] and says whether it was the first to.
func creator(ctx context.Context, args []string) error {
	database, err := db.Create(ctx, args[0], "vfs", db.Options{})
	if errors.Is(err, model.ErrExists) {
		fmt.Fprint(os.Stdout, "exists")
		return nil
	}
	if err != nil {
		return err
	}
	defer database.Close()
	fmt.Fprint(os.Stdout, "created")
	return nil
}
