package db_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/flock"
)

// largeSize is how much put stores, in bytes: enough for remove to leave a file
// that is to be compacted, if that is asked for from smallFile on.
const (
	largeSize = 12 << 20
	smallFile = 8 << 20
)

func putLarge(tx *db.Tx) error {
	return tx.App("com.example.large").Put([]byte("key"), make([]byte, largeSize))
}

func removeLarge(tx *db.Tx) error {
	app := tx.App("com.example.large")
	return app.Put([]byte("key"), []byte{1})
}

func sizeOf(t testing.TB, database *db.DB) int64 {
	t.Helper()
	info, err := os.Stat(database.Path())
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// autoStore makes a database that compacts itself when it is small already.
func autoStore(t testing.TB, options db.Options) (_ *db.DB, log *strings.Builder) {
	t.Helper()
	log = &strings.Builder{}
	logger := logrus.New()
	logger.SetOutput(log)
	options.Log = logger
	database := dbtest.New(t, options)
	database.AutoCompactFrom(smallFile)
	database.AutoCompactWaits(time.Minute) // however slow the machine is
	update(t, database, fill, putLarge)
	return database, log
}

func TestUpdateThatFreesMostOfTheFileShrinksIt(t *testing.T) {
	database, log := autoStore(t, db.Options{Now: fillNow})
	update(t, database, removeLarge)
	if size := sizeOf(t, database); size > largeSize/4 {
		t.Errorf("the file has %d bytes still", size)
	}
	entries := journalOf(t, database)
	if last := entries[len(entries)-1]; last.Changes[0].Op != db.OpCompact {
		t.Errorf("the journal ends with %+v", last)
	}
	// That was all, and it is not done over and over.
	inode := inodeOf(t, database)
	for range 3 {
		update(t, database, addOne)
	}
	if inodeOf(t, database) != inode {
		t.Error("it was compacted again")
	}
	if log.Len() > 0 {
		t.Errorf("the log has %s", log)
	}
}

func inodeOf(t testing.TB, database *db.DB) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(database.Path(), &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

func TestFilesAreCompactedOnTheirOwnOnlyIfItIsWorthwhile(t *testing.T) {
	for name, test := range map[string]struct {
		options db.Options
		atLeast int64
		keep    int // bytes
	}{
		"it is switched off":       {options: db.Options{NoAutoCompact: true}, atLeast: smallFile, keep: 1},
		"the file is small":        {keep: 1},
		"a third of it is in use":  {atLeast: smallFile, keep: largeSize / 3},
		"the file is not so large": {atLeast: largeSize * 2, keep: 1},
	} {
		t.Run(name, func(t *testing.T) {
			database, _ := autoStore(t, test.options)
			database.AutoCompactFrom(test.atLeast)
			update(t, database, func(tx *db.Tx) error {
				return tx.App("com.example.large").Put([]byte("key"), make([]byte, test.keep))
			})
			if size := sizeOf(t, database); size < largeSize {
				t.Errorf("the file has only %d bytes", size)
			}
		})
	}
}

// A transaction that reads beside one that writes, or that waits for it, is there
// when the commit is done. It ends only when Update has returned.
func TestAutomaticCompactionGivesWayToReaders(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *db.DB) (begin func() (end func())){
		"of this process":    readBeside,
		"of another process": readNext,
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			database, log := autoStore(t, db.Options{Now: func() time.Time { return now }})
			database.AutoCompactWaits(0)
			begin := prepare(t, database)
			var end func()
			update(t, database, removeLarge, func(*db.Tx) error {
				end = begin()
				return nil
			})
			end()
			if size := sizeOf(t, database); size < largeSize {
				t.Errorf("the file has only %d bytes", size)
			}
			update(t, database, addOne)
			if size := sizeOf(t, database); size < largeSize {
				t.Errorf("it was tried again at once: the file has only %d bytes", size)
			}
			now = now.Add(time.Second)
			database.AutoCompactWaits(time.Minute)
			update(t, database, addOne)
			if size := sizeOf(t, database); size > largeSize/4 {
				t.Errorf("the file has %d bytes still", size)
			}
			if log.Len() > 0 {
				t.Errorf("the log has %s", log)
			}
		})
	}
}

// readBeside returns a function that begins a transaction in another goroutine.
func readBeside(t *testing.T, database *db.DB) (begin func() (end func())) {
	t.Helper()
	return func() func() {
		began, let, ended := make(chan struct{}), make(chan struct{}), make(chan error)
		go func() {
			ended <- database.View(t.Context(), func(*db.ReadTx) error {
				close(began)
				<-let
				return nil
			})
		}()
		<-began
		return func() {
			close(let)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
}

// readNext returns a function that begins a transaction in another process, which
// will run when that of the caller has ended.
func readNext(t *testing.T, database *db.DB) (begin func() (end func())) {
	t.Helper()
	reader := startHolder(t, "queue", rootOf(database))
	queue, err := os.Open(flock.QueuePath(filepath.Join(rootOf(database), db.LockName)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queue.Close() })
	return func() func() {
		if _, err := reader.stdin.Write([]byte("r")); err != nil {
			t.Error(err)
		}
		for len(flock.Holders(queue)) == 0 {
			time.Sleep(time.Millisecond)
		}
		return func() { reader.letGo(t) }
	}
}

func TestAutomaticCompactionThatFailsIsLoggedAndNotTriedAgainForAWhile(t *testing.T) {
	now := time.Now()
	database, log := autoStore(t, db.Options{Now: func() time.Time { return now }})
	inTheWay := filepath.Join(database.Path()+".new", "something")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	update(t, database, removeLarge)
	if text := log.String(); strings.Count(text, "level=warning") != 1 || !strings.Contains(text, database.Path()) {
		t.Errorf("the log has %q", text)
	}
	if err := os.RemoveAll(filepath.Dir(inTheWay)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour - time.Second)
	update(t, database, addOne)
	if size := sizeOf(t, database); size < largeSize {
		t.Errorf("the file has only %d bytes", size)
	}
	now = now.Add(time.Second)
	update(t, database, addOne)
	if size := sizeOf(t, database); size > largeSize/4 {
		t.Errorf("the file has %d bytes still", size)
	}
}

// endingContext ends when it has been asked some times.
type endingContext struct {
	context.Context //nolint:containedctx // It is one.
	left            int
}

func (c *endingContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func (c *endingContext) Done() <-chan struct{} { return nil }

func TestAutomaticCompactionEndsWithTheContext(t *testing.T) {
	database, log := autoStore(t, db.Options{Now: fillNow})
	ended := 0
	for patience := 1; ; patience = patience*3/2 + 1 {
		before := inodeOf(t, database)
		err := database.Update(&endingContext{Context: context.WithoutCancel(t.Context()), left: patience}, removeLarge)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if exists(database.Path() + ".new") {
			t.Errorf("patience %d: a file is left", patience)
		}
		if inodeOf(t, database) != before {
			break
		}
		if err == nil {
			ended++
		}
		update(t, database, addOne, putLarge)
	}
	if ended == 0 || log.Len() > 0 {
		t.Errorf("ended %d times; the log has %q", ended, log)
	}
}

// shrinkForEver does in the database in args[0] what lets it compact itself,
// until it is killed.
func shrinkForEver(ctx context.Context, args []string) error {
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	const size = 6 << 20
	database.AutoCompactFrom(size)
	for {
		for _, n := range []int{size, 1} {
			err := database.Update(ctx, func(tx *db.Tx) error {
				return errors.Join(addOne(tx), tx.App("com.example.large").Put([]byte("key"), make([]byte, n)))
			})
			if err != nil {
				return err
			}
		}
	}
}

// Others count while the database is compacted over and over: nobody loses an
// update.
func TestAutomaticCompactionBesideOtherProcesses(t *testing.T) {
	now := time.Now()
	database, _ := autoStore(t, db.Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	update(t, database, addOne)
	others := startStress(t, database, 2)
	want, compactions := uint64(1), 0
	for compactions < 10 {
		update(t, database, addOne, putLarge)
		update(t, database, addOne, removeLarge)
		want += 2
		if sizeOf(t, database) < largeSize {
			compactions++
		}
	}
	want += others.end(t)
	if n := counterOf(t, database); n != want {
		t.Errorf("after %d compactions counted to %d instead of %d", compactions, n, want)
	}
}
