package db_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// shrink makes a database of which most is free.
func shrink(t testing.TB, database *db.DB) {
	t.Helper()
	for _, size := range []int{4 << 20, 1} {
		update(t, database, func(tx *db.Tx) error {
			return tx.App("com.example.large").Put([]byte("key"), make([]byte, size))
		})
	}
}

func compact(t testing.TB, database *db.DB, ifFree int) *db.Compacted {
	t.Helper()
	done, err := database.Compact(t.Context(), db.CompactOptions{IfFree: ifFree})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestCompactLosesNothingButFreePages(t *testing.T) {
	database := dbtest.New(t, db.Options{Now: fillNow})
	update(t, database, fill)
	shrink(t, database)
	last := txID(t, database)
	want := dumpOf(t, database)
	done := compact(t, database, 0)
	if !done.Done || done.After.Size >= done.Before.Size || done.After.Pages >= done.Before.Pages/10 {
		t.Errorf("got %+v", done)
	}
	if info, err := os.Stat(database.Path()); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	// What is new is the entry in the journal.
	got := dumpOf(t, database)
	entries := journalOf(t, database)
	entry := entries[len(entries)-1]
	if entry.Changes[0].Op != db.OpCompact || entry.TxID <= last {
		t.Errorf("after transaction %d the journal has %+v", last, entry)
	}
	if begin := strings.Index(want, `"Journal":`); got[:begin] != want[:begin] {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if names := filesIn(t, rootOf(database)); len(names) != 4 {
		t.Errorf("left behind: %q", names)
	}
	// The number of the next transaction is the next one.
	update(t, database, createLayer("after"))
	if id := txID(t, database); id != entry.TxID+1 {
		t.Errorf("transaction %d after %d", id, entry.TxID)
	}
}

func txID(t testing.TB, database *db.DB) (id int) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		id = tx.TxID()
		return nil
	})
	return id
}

func journalOf(t testing.TB, database *db.DB) (entries []*db.JournalEntry) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		return tx.Journal(0, func(e *db.JournalEntry) bool {
			entries = append(entries, e)
			return true
		})
	})
	return entries
}

func TestCompactGoesByTheShareOfFreePages(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	if done := compact(t, database, 60); done.Done {
		t.Errorf("hardly anything is free, but %+v", done)
	}
	shrink(t, database)
	if done := compact(t, database, 90); !done.Done {
		t.Errorf("most is free, but %+v", done)
	}
}

// Other processes go on while the database is replaced over and over: nobody
// loses an update, or sees something old.
func TestCompactBesideOtherProcesses(t *testing.T) {
	duration := 2 * time.Second
	if testing.Short() {
		duration /= 4
	}
	database := dbtest.New(t, db.Options{})
	update(t, database, addOne)
	others := startStress(t, database, 3)
	compactions, at := 0, uint64(1)
	for end := time.Now().Add(duration); compactions < 3 || time.Now().Before(end); compactions++ {
		compact(t, database, 0)
		n := counterOf(t, database)
		if n < at {
			t.Errorf("counted back from %d to %d", at, n)
		}
		at = n
	}
	want := 1 + others.end(t)
	if n := counterOf(t, database); n != want {
		t.Errorf("after %d compactions counted to %d instead of %d", compactions, n, want)
	}
}

func TestCompactThatFailsChangesNothing(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	before := readFile(t, database.Path())
	unchanged := func(err error, classes ...error) {
		t.Helper()
		wantClass(t, err, classes...)
		if string(readFile(t, database.Path())) != string(before) {
			t.Error("the file has changed")
		}
		if exists(database.Path() + ".new") {
			t.Error("the new file is left")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := database.Compact(ctx, db.CompactOptions{})
	unchanged(err, context.Canceled)

	reader := startHolder(t, "reader", rootOf(database))
	err = testutil.GiveUp(t, inQueue, func(ctx context.Context) error {
		_, err := database.Compact(ctx, db.CompactOptions{})
		return err
	})
	unchanged(err, model.ErrBusy, context.DeadlineExceeded)
	reader.letGo(t)

	// A program that does not know our lock.
	foreign := startHolder(t, "foreign", database.Path())
	_, err = database.Compact(t.Context(), db.CompactOptions{Wait: 50 * time.Millisecond})
	unchanged(err, model.ErrBusy)
	foreign.letGo(t)

	// Within a transaction it would wait for itself.
	view(t, database, func(*db.ReadTx) error {
		_, err = database.Compact(t.Context(), db.CompactOptions{})
		return nil
	})
	unchanged(err, model.ErrNested)
	readOnly := open(t, rootOf(database), db.Options{ReadOnly: true})
	_, err = readOnly.Compact(t.Context(), db.CompactOptions{})
	unchanged(err, model.ErrStoreIsReadOnly)
}

// compactForEver compacts the database in args[0] until it is killed.
func compactForEver(ctx context.Context, args []string) error {
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	for {
		if _, err := database.Compact(ctx, db.CompactOptions{}); err != nil {
			return err
		}
	}
}

// Whenever a process dies that compacts, because it is told to or on its own, the
// database is there, whole.
func TestCompactKilledAtAnyTime(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	for _, entry := range []string{"compact", "shrink"} {
		t.Run(entry, func(t *testing.T) {
			database := dbtest.New(t, db.Options{Now: fillNow})
			update(t, database, fill, addOne)
			last, counted := txID(t, database), counterOf(t, database)
			once := func() bool { // one came to the end
				return slices.ContainsFunc(journalOf(t, database), func(e *db.JournalEntry) bool { return e.Changes[0].Op == db.OpCompact })
			}
			// The later ones live longer, for however slow a machine.
			for round := 0; round < rounds || !once(); round++ {
				child := testutil.Child(t, entry, rootOf(database))
				if err := child.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(20+rand.IntN(60)+20*max(0, round-rounds)) * time.Millisecond)
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = child.Wait()
				dbtest.Check(t, database)
				update(t, database, addOne)
				id, n := txID(t, database), counterOf(t, database)
				if n <= counted || id <= last || entry == "compact" && n != counted+1 {
					t.Errorf("round %d: counted from %d to %d, transaction %d after %d", round, counted, n, id, last)
				}
				last, counted = id, n
			}
		})
	}
}

func TestCompactReplacesWhatACrashLeft(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	writeFile(t, database.Path()+".new", []byte("half of a file"))
	compact(t, database, 0)
	if exists(database.Path() + ".new") {
		t.Error("it is still there")
	}
}

func TestCompactRefusesADamagedDatabase(t *testing.T) {
	database := create(t)
	image := smallImage(t)
	for _, id := range pagesOf(image, branchPage, 2) {
		setChild(image, id, 0, id)
	}
	writeFile(t, database.Path(), image)
	if err := os.Remove(filepath.Join(rootOf(database), db.MarkerName)); err != nil {
		t.Fatal(err)
	}
	_, err := database.Compact(t.Context(), db.CompactOptions{})
	wantClass(t, err, model.ErrCorrupt)
	if string(readFile(t, database.Path())) != string(image) {
		t.Error("the file has changed")
	}
}

func TestCompactOnAFullDisk(t *testing.T) {
	dir := testutil.Loop{FS: "ext4", Size: 16 << 20}.Mount(t).Dir()
	database, err := db.Create(t.Context(), dir, dbtest.Driver, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, database)
	update(t, database, fill)
	fillUp(t, dir)
	_, err = database.Compact(t.Context(), db.CompactOptions{})
	wantClass(t, err, model.ErrNoSpace)
	if exists(database.Path() + ".new") {
		t.Error("the new file is left")
	}
	update(t, database, func(tx *db.Tx) error { return tx.RemoveTrash("nothing") })
}

func BenchmarkCompact(b *testing.B) {
	database := dbtest.New(b, db.Options{})
	for n := range 100 {
		update(b, database, func(tx *db.Tx) error {
			app := tx.App("com.example.large")
			var errs []error
			for i := range 1000 {
				errs = append(errs, app.Put(fmt.Appendf(nil, "%d-%d", i, n), make([]byte, 1000)))
			}
			return errors.Join(errs...)
		})
	}
	for b.Loop() {
		compact(b, database, 0)
	}
}
