package db_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// stores makes databases.
func stores(t testing.TB, n int) (all []*db.DB) {
	t.Helper()
	for range n {
		all = append(all, dbtest.New(t, db.Options{}))
	}
	return all
}

// updateAll runs a function for each database in one transaction over all of them.
func updateAll(t testing.TB, all []*db.DB, fns ...func(*db.Tx) error) error {
	t.Helper()
	return db.UpdateAll(t.Context(), all, nil, func(write []*db.Tx, _ []*db.ReadTx) error {
		for i, fn := range fns {
			if err := fn(write[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// inEach returns a function once for each database.
func inEach(all []*db.DB, fn func(*db.Tx) error) []func(*db.Tx) error {
	return slices.Repeat([]func(*db.Tx) error{fn}, len(all))
}

// layersIn returns the IDs of the layers in databases, as one transaction sees
// them.
func layersIn(t testing.TB, all ...*db.DB) (ids [][]string) {
	t.Helper()
	err := db.ViewAll(t.Context(), all, func(read []*db.ReadTx) error {
		for _, tx := range read {
			layers, err := tx.Layers()
			if err != nil {
				return err
			}
			var in []string
			for _, l := range layers {
				in = append(in, string(l.ID))
			}
			ids = append(ids, in)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func wantLayers(t testing.TB, all []*db.DB, want ...[]string) {
	t.Helper()
	if diff := cmp.Diff(want, layersIn(t, all...), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// wantSettled fails if something is prepared.
func wantSettled(t testing.TB, all ...*db.DB) {
	t.Helper()
	for _, database := range all {
		if p := preparedIn(t, database); len(p) > 0 {
			t.Errorf("%s: %+v", database.Path(), p)
		}
	}
}

func preparedIn(t testing.TB, database *db.DB) (all []db.Prepared) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) (err error) {
		all, err = tx.Prepared()
		return err
	})
	return all
}

func TestUpdateAllChangesAllDatabases(t *testing.T) {
	all := stores(t, 3)
	app := func(tx *db.Tx) error {
		inner := tx.App("app").Bucket("inner")
		return errors.Join(inner.Put([]byte("key"), []byte("value")), tx.App("app").Bucket("other").Put([]byte("k"), nil), tx.App("app").DeleteBucket("other"))
	}
	both := inEach(all[:2], func(tx *db.Tx) error { return errors.Join(fill(tx), app(tx)) })
	if err := updateAll(t, all, append(both, createLayer("third"))...); err != nil {
		t.Fatal(err)
	}
	wantLayers(t, all, []string{"base", "top", "own"}, []string{"base", "top", "own"}, []string{"third"})
	wantSettled(t, all...)
	// Both have the same content, whether it was written or performed.
	wantSameContents(t, all[0], all[1])
	for i, database := range all {
		view(t, database, func(tx *db.ReadTx) error {
			last := 0
			err := tx.Journal(0, func(e *db.JournalEntry) bool { last = e.TxID; return true })
			if last != tx.TxID() {
				t.Errorf("database %d: the journal has transaction %d, the last was %d", i, last, tx.TxID())
			}
			decided, errDecided := tx.AllDecided()
			if want := map[bool]int{true: 2, false: 0}[i == 0]; len(decided) != want {
				t.Errorf("database %d has decided %+v", i, decided)
			}
			return errors.Join(err, errDecided)
		})
	}
	// Decisions do not pile up.
	for range 3 {
		if err := updateAll(t, all, inEach(all[:2], setMetadata)...); err != nil {
			t.Fatal(err)
		}
	}
	view(t, all[0], func(tx *db.ReadTx) error {
		decided, err := tx.AllDecided()
		if len(decided) != 2 || decided[0].Tx == decided[1].Tx {
			t.Errorf("decided: %+v", decided)
		}
		return err
	})
}

func setMetadata(tx *db.Tx) error { return tx.SetMetadata(model.KindLayer, "base", tx.Now().String()) }

// wantSameContents compares two databases that were filled at different times.
func wantSameContents(t testing.TB, a, b *db.DB) {
	t.Helper()
	var lines [2][]string
	for i, database := range []*db.DB{a, b} {
		for _, line := range dbtest.Entries(t, database.Path()) {
			if name, _, _ := strings.Cut(line, ": "); !strings.HasPrefix(name, "v1/store/") && !strings.HasPrefix(name, "v1/decided/") &&
				!strings.HasPrefix(name, "v1/journal/") && !strings.HasPrefix(name, "v1/holds/") && !strings.HasPrefix(name, "v1/trash/") && !strings.HasPrefix(name, "v1/runs/") {
				lines[i] = append(lines[i], line)
			}
		}
	}
	if diff := cmp.Diff(lines[0], lines[1]); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateAllThatFailsChangesNothing(t *testing.T) {
	all := stores(t, 2)
	err := updateAll(t, all, createLayer("a"), func(tx *db.Tx) error { return errors.Join(createLayer("b")(tx), model.ErrBusy) })
	wantClass(t, err, model.ErrBusy)
	wantLayers(t, all, nil, nil)
	wantSettled(t, all...)
}

// What is not changed is not committed, and one database alone needs no agreement.
func TestUpdateAllCommitsWhatHasChanged(t *testing.T) {
	all := stores(t, 3)
	nothing := func(*db.Tx) error { return nil }
	for _, test := range []struct {
		fns  [3]func(*db.Tx) error
		want [3]int // commits
	}{
		{[3]func(*db.Tx) error{nothing, nothing, nothing}, [3]int{0, 0, 0}},
		{[3]func(*db.Tx) error{createLayer("a"), nothing, nothing}, [3]int{1, 0, 0}},
		{[3]func(*db.Tx) error{nothing, nothing, createLayer("b")}, [3]int{0, 0, 1}},
		{[3]func(*db.Tx) error{nothing, createLayer("c"), createLayer("d")}, [3]int{0, 1, 2}},
		{[3]func(*db.Tx) error{createLayer("e"), createLayer("f"), createLayer("g")}, [3]int{1, 2, 2}},
	} {
		var before, commits [3]int
		for i, database := range all {
			before[i] = lastTx(t, database)
		}
		if err := updateAll(t, all, test.fns[:]...); err != nil {
			t.Fatal(err)
		}
		for i, database := range all {
			commits[i] = lastTx(t, database) - before[i]
		}
		if commits != test.want {
			t.Errorf("%v commits, want %v", commits, test.want)
		}
	}
}

func TestUpdateAllReadsOthers(t *testing.T) {
	all := stores(t, 3)
	update(t, all[1], createLayer("b"))
	update(t, all[2], createLayer("c"))
	err := db.UpdateAll(t.Context(), all[:1], all[1:], func(write []*db.Tx, read []*db.ReadTx) error {
		_, errB := read[0].Layer("b")
		_, errC := read[1].Layer("c")
		return errors.Join(errB, errC, createLayer("a")(write[0]))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantLayers(t, all, []string{"a"}, []string{"b"}, []string{"c"})
}

func TestTransactionsOverOneDatabaseAreOrdinary(t *testing.T) {
	all := stores(t, 1)
	if err := updateAll(t, all, createLayer("a")); err != nil {
		t.Fatal(err)
	}
	wantLayers(t, all, []string{"a"})
	if err := db.ViewAll(t.Context(), nil, func([]*db.ReadTx) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestSameDatabaseCannotBeGivenTwice(t *testing.T) {
	all := stores(t, 1)
	again := open(t, rootOf(all[0]), db.Options{})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(rootOf(all[0]), link); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*db.DB{
		"itself": all[0], "another handle": again, "another path": open(t, link, db.Options{ReadOnly: true}),
	} {
		err := db.ViewAll(t.Context(), []*db.DB{all[0], other}, func([]*db.ReadTx) error { return nil })
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("reading %s: %v", name, err)
		}
		err = db.UpdateAll(t.Context(), all, []*db.DB{other}, func([]*db.Tx, []*db.ReadTx) error { return nil })
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("writing and reading %s: %v", name, err)
		}
	}
}

// A copy of a store has its UUID, and is another store.
func TestCopyOfAStoreIsAnotherOne(t *testing.T) {
	all := stores(t, 1)
	update(t, all[0], createLayer("a"))
	root := t.TempDir()
	for _, name := range []string{db.FileName, db.MarkerName} {
		writeFile(t, filepath.Join(root, name), readFile(t, filepath.Join(rootOf(all[0]), name)))
	}
	all = append(all, open(t, root, db.Options{}))
	if err := updateAll(t, all, createLayer("b"), createLayer("c")); err != nil {
		t.Fatal(err)
	}
	wantLayers(t, all, []string{"a", "b"}, []string{"a", "c"})
}

func TestTransactionWithinOneOverSeveralIsRefused(t *testing.T) {
	all := stores(t, 2)
	err := db.ViewAll(t.Context(), all, func([]*db.ReadTx) error {
		for _, database := range all {
			wantClass(t, read(t.Context(), database), model.ErrNested)
		}
		wantClass(t, db.ViewAll(t.Context(), all, func([]*db.ReadTx) error { return nil }), model.ErrNested)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is held any more.
	if err := updateAll(t, all, createLayer("a"), createLayer("b")); err != nil {
		t.Fatal(err)
	}
}

func TestUpdateAllNeedsDatabasesThatCanBeWritten(t *testing.T) {
	all := stores(t, 2)
	readOnly := open(t, rootOf(all[1]), db.Options{ReadOnly: true})
	err := updateAll(t, []*db.DB{all[0], readOnly}, createLayer("a"), createLayer("b"))
	wantClass(t, err, model.ErrStoreIsReadOnly)
	wantLayers(t, []*db.DB{all[0], readOnly}, nil, nil)
}

// Goroutines that name the same databases in another order do not wait for each
// other for ever, and each sees all or nothing of what others do.
func TestGoroutinesSeeAllOrNothing(t *testing.T) {
	all := stores(t, 3)
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	const rounds = 30
	var workers sync.WaitGroup
	for i, dbs := range [][]*db.DB{all, reversed} {
		workers.Go(func() {
			for round := range rounds {
				n := model.LayerID(id("%d-%d", i, round))
				if err := updateAll(t, dbs, inEach(dbs, createLayer(n))...); err != nil {
					t.Errorf("update: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, dbs := range [][]*db.DB{all, reversed, reversed[1:]} {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				ids := layersIn(t, dbs...)
				for _, in := range ids[1:] {
					if !slices.Equal(in, ids[0]) {
						t.Errorf("seen: %v", ids)
						return
					}
				}
			}
		})
	}
	workers.Wait()
	close(done)
	readers.Wait()
	if n := len(layersIn(t, all...)[0]); n != 2*rounds {
		t.Errorf("%d layers", n)
	}
}

// Goroutines of one process use the same handle. Between the commits of a transaction
// over several databases none of them begins to read, and while one begins to read
// several there is no such commit.
func TestReadersDoNotBeginBetweenTheCommits(t *testing.T) {
	for i := range 2 {
		all := stores(t, 2)
		release := all[i].HoldGate(false)
		writing := testutil.Start(func() error { return updateAll(t, all, inEach(all, createLayer("a"))...) })
		writing.AwaitWait(t, "db.(*agreement).lockGates")
		for _, database := range all {
			// These are read without a lock.
			if commits, err := db.Commits(rootOf(database)); err != nil || len(commits) > 0 {
				t.Errorf("somebody has begun to commit: %+v, %v", commits, err)
			}
		}
		release()
		if err := writing.Result(); err != nil {
			t.Fatal(err)
		}
		release = all[i].HoldGate(true)
		one := testutil.Start(func() error { return read(t.Context(), all[i]) })
		both := testutil.Start(func() error { return db.ViewAll(t.Context(), all, func([]*db.ReadTx) error { return nil }) })
		one.AwaitWait(t, "db.(*handle).transact")
		both.AwaitWait(t, "db.(*group).run")
		release()
		if err := errors.Join(one.Result(), both.Result()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommitsOfAllDatabasesAreRecorded(t *testing.T) {
	all := stores(t, 2)
	if err := updateAll(t, all, createLayer("a"), createLayer("b")); err != nil {
		t.Fatal(err)
	}
	var got [2][]string
	for i, database := range all {
		commits, err := db.Commits(rootOf(database))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			got[i] = append(got[i], id("%s %s", c.Op, c.ID))
		}
	}
	want := [2][]string{{"create a"}, {"prepare ", "create b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
