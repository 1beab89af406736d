package db_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// layerIDs lists the layers there are.
func layerIDs(t testing.TB, database *db.DB) []model.LayerID {
	t.Helper()
	var ids []model.LayerID
	view(t, database, func(tx *db.ReadTx) error {
		layers, err := tx.Layers()
		for _, l := range layers {
			ids = append(ids, l.ID)
		}
		return err
	})
	return ids
}

func createLayer(name model.LayerID) func(*db.Tx) error {
	return func(tx *db.Tx) error { return tx.CreateLayer(&model.Layer{ID: name}) }
}

func TestUpdateKeepsNothingOfAFunctionThatFails(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("before"))
	broken := errors.New("broken")
	err := database.Update(t.Context(), func(tx *db.Tx) error { return errors.Join(createLayer("lost")(tx), broken) })
	wantClass(t, err, broken)
	if db.IsUnknown(err) {
		t.Error("the outcome is said to be unknown")
	}
	if diff := cmp.Diff([]model.LayerID{"before"}, layerIDs(t, database)); diff != "" {
		t.Error(diff)
	}
	update(t, database, createLayer("after"))
}

func TestUpdateKeepsNothingOfAFunctionThatPanics(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	for _, value := range []any{"a mistake", errors.New("an error"), runtime.Error(nil)} {
		panics := func() (recovered any) {
			defer func() { recovered = recover() }()
			_ = database.Update(t.Context(), func(tx *db.Tx) error {
				if err := createLayer("lost")(tx); err != nil {
					t.Error(err)
				}
				panic(value)
			})
			return nil
		}
		got := panics()
		if value == nil {
			if _, ok := got.(*runtime.PanicNilError); !ok {
				t.Errorf("a panic with nil arrives as %v", got)
			}
		} else if got != value {
			t.Errorf("the panic %v arrives as %v", value, got)
		}
		update(t, database, func(*db.Tx) error { return nil }) // nothing is locked
	}
	if ids := layerIDs(t, database); len(ids) > 0 {
		t.Errorf("kept: %q", ids)
	}
}

// A mistake of the function must not be taken for damage of the file, however
// much it looks like one: it reads where nothing is mapped.
func TestMemoryFaultOfTheFunctionIsNotBlamedOnTheFile(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	defer func() {
		if recover() == nil {
			t.Error("the panic was turned into an error")
		}
	}()
	var far *[1 << 20]byte
	_ = database.View(t.Context(), func(*db.ReadTx) error {
		_ = far[1<<19]
		return nil
	})
}

// t.FailNow and t.SkipNow end a goroutine in this way.
func TestUpdateKeepsNothingOfAGoroutineThatExits(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = database.Update(context.WithoutCancel(t.Context()), func(tx *db.Tx) error {
			if err := createLayer("lost")(tx); err != nil {
				t.Error(err)
			}
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	if ids := layerIDs(t, database); len(ids) > 0 {
		t.Errorf("kept: %q", ids)
	}
	update(t, database, createLayer("after"))
}

func TestUpdateWithoutChangesWritesNothing(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	before := readFile(t, database.Path())
	update(t, database, func(tx *db.Tx) error {
		_, err := tx.Usage()
		return err
	})
	if !slices.Equal(before, readFile(t, database.Path())[:len(before)]) {
		t.Error("the file has changed")
	}
}

// nest runs a transaction inside another one.
func TestNestedTransactionsFailAtOnce(t *testing.T) {
	type transact func(ctx context.Context, database *db.DB, fn func() error) error
	kinds := map[string]transact{
		"View": func(ctx context.Context, database *db.DB, fn func() error) error {
			return database.View(ctx, func(*db.ReadTx) error { return fn() })
		},
		"Update": func(ctx context.Context, database *db.DB, fn func() error) error {
			return database.Update(ctx, func(*db.Tx) error { return fn() })
		},
	}
	database := dbtest.New(t, db.Options{})
	for outer, outerFn := range kinds {
		for inner, innerFn := range kinds {
			t.Run(inner+" in "+outer, func(t *testing.T) {
				err := outerFn(t.Context(), database, func() error {
					return innerFn(t.Context(), database, func() error {
						t.Error("the inner one has run")
						return nil
					})
				})
				wantClass(t, err, model.ErrNested, model.ErrInvalid)
			})
		}
	}
	if err := database.View(t.Context(), func(*db.ReadTx) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestTransactionsOfTwoStoresCanBeNested(t *testing.T) {
	a, b := dbtest.New(t, db.Options{}), dbtest.New(t, db.Options{})
	update(t, a, func(outer *db.Tx) error {
		err := b.View(t.Context(), func(inner *db.ReadTx) error {
			_, err := inner.Info()
			return err
		})
		return errors.Join(err, createLayer("x")(outer))
	})
}

func TestTransactionCannotBeUsedAfterItsEnd(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	var tx *db.Tx
	var app *db.Bucket
	update(t, database, func(open *db.Tx) error {
		tx, app = open, open.App("com.example.engine").Bucket("inner")
		return nil
	})
	uses := readingUses(&tx.ReadTx)
	maps.Copy(uses, writingUses(tx, app))
	for name, use := range uses {
		t.Run(name, func(t *testing.T) { wantClass(t, use(), model.ErrInvalid) })
	}
	if tx.TxID() != 0 {
		t.Errorf("it has the number %d", tx.TxID())
	}
}

func TestReadTransactionCannotBeUsedAfterItsEnd(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	var tx *db.ReadTx
	view(t, database, func(open *db.ReadTx) error { tx = open; return nil })
	for name, use := range readingUses(tx) {
		t.Run(name, func(t *testing.T) { wantClass(t, use(), model.ErrInvalid) })
	}
}

func second[T any](_ T, err error) error { return err }

func readingUses(tx *db.ReadTx) map[string]func() error {
	return map[string]func() error{
		"Info":           func() error { return second(tx.Info()) },
		"Schema":         func() error { return second(tx.Schema()) },
		"Usage":          func() error { return second(tx.Usage()) },
		"Layer":          func() error { return second(tx.Layer("base")) },
		"Layers":         func() error { return second(tx.Layers()) },
		"Images":         func() error { return second(tx.Images()) },
		"Containers":     func() error { return second(tx.Containers()) },
		"Children":       func() error { return second(tx.Children("base")) },
		"Uses":           func() error { return second(tx.Uses("base")) },
		"LayersByDigest": func() error { return second(tx.LayersByDigest(db.DiffDigest, "d")) },
		"Find":           func() error { return second(tx.Find(model.KindLayer, "base")) },
		"Data":           func() error { return second(tx.Data(model.KindImage, "image")) },
		"DataItem":       func() error { return second(tx.DataItem(model.KindImage, "image", "config")) },
		"AllTrash":       func() error { return second(tx.AllTrash()) },
		"Journal":        func() error { return tx.Journal(0, func(*db.JournalEntry) bool { return true }) },
		"App":            func() error { return second(tx.App("com.example.engine").Get([]byte("key"))) },
		"Check":          func() error { return second(tx.Check(context.Background())) },
		"CheckPages":     func() error { return second(tx.CheckPages(context.Background())) },
	}
}

func writingUses(tx *db.Tx, app *db.Bucket) map[string]func() error {
	return map[string]func() error{
		"CreateLayer":  func() error { return createLayer("late")(tx) },
		"DeleteLayer":  func() error { _, _, err := tx.DeleteLayer("own"); return err },
		"SetNames":     func() error { return second(tx.SetNames(model.KindLayer, "base", nil)) },
		"PutData":      func() error { return second(tx.PutData(model.KindLayer, "base", model.Data{Key: "k"})) },
		"AddTrash":     func() error { return tx.AddTrash(db.Trash{Path: "p"}) },
		"RemoveTrash":  func() error { return tx.RemoveTrash("vfs/dir/gone") },
		"new bucket":   func() error { return tx.App("late").Put([]byte("k"), nil) },
		"Put":          func() error { return app.Put([]byte("k"), nil) },
		"Delete":       func() error { return app.Delete([]byte("k")) },
		"Each":         func() error { return app.Each(nil, func(_, _ []byte) error { return nil }) },
		"inner bucket": func() error { return app.Bucket("late").Put([]byte("k"), nil) },
		"DeleteBucket": func() error { return app.DeleteBucket("innermost") },
	}
}

func TestScanStopsWhenItsTransactionHasEnded(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	entries := make(chan *db.JournalEntry)
	read, release := make(chan struct{}), make(chan error, 1)
	view(t, database, func(tx *db.ReadTx) error {
		go func() {
			release <- tx.Journal(0, func(e *db.JournalEntry) bool { close(read); entries <- e; return true })
		}()
		<-read
		return nil
	})
	<-entries
	wantClass(t, <-release, model.ErrInvalid)
}

func TestReadOnlyDatabaseCannotBeWritten(t *testing.T) {
	writer := dbtest.New(t, db.Options{})
	reader := open(t, rootOf(writer), db.Options{ReadOnly: true})
	err := reader.Update(t.Context(), createLayer("x"))
	wantClass(t, err, model.ErrStoreIsReadOnly, model.ErrReadOnly)
	update(t, writer, createLayer("x"))
	if ids := layerIDs(t, reader); len(ids) != 1 {
		t.Errorf("the reader sees %q", ids)
	}
	_, err = db.Create(t.Context(), t.TempDir(), "vfs", db.Options{ReadOnly: true})
	wantClass(t, err, model.ErrReadOnly)
}

func TestClosedDatabaseCannotBeUsed(t *testing.T) {
	database := create(t)
	database.Close()
	database.Close() // twice does no harm
	wantClass(t, database.View(t.Context(), func(*db.ReadTx) error { return nil }), model.ErrClosed)
	wantClass(t, database.Update(t.Context(), func(*db.Tx) error { return nil }), model.ErrClosed)
}

func TestCloseLetsRunningTransactionsEnd(t *testing.T) {
	database := create(t)
	root := rootOf(database)
	other := open(t, root, db.Options{})
	var waiting *testutil.Call
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		waiting = testutil.Start(func() error { return database.Update(t.Context(), createLayer("late")) })
		waiting.AwaitWait(t, behindWriter)
		database.Close()
		// The lock is still held.
		err := testutil.GiveUp(t, inQueue, func(ctx context.Context) error { return read(ctx, other) })
		wantClass(t, err, model.ErrBusy)
		return createLayer("kept")(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantClass(t, waiting.Result(), model.ErrClosed)
	if diff := cmp.Diff([]model.LayerID{"kept"}, layerIDs(t, other)); diff != "" {
		t.Error(diff)
	}
}

func TestTwoHandlesOnOneStoreInOneProcess(t *testing.T) {
	a := dbtest.New(t, db.Options{})
	b := open(t, rootOf(a), db.Options{})
	for i := range 10 {
		database, other := a, b
		if i%2 == 1 {
			database, other = b, a
		}
		update(t, database, createLayer(model.LayerID(id("l%d", i))))
		if ids := layerIDs(t, other); len(ids) != i+1 {
			t.Fatalf("after %d transactions the other one sees %q", i+1, ids)
		}
	}
}

func TestReaderSeesOneStateBesideAWriter(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("first"))
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		if err := createLayer("second")(tx); err != nil {
			return err
		}
		// In a goroutine of its own, since it would be nested in this one.
		seen := make(chan string, 1)
		go func() { seen <- fmt.Sprint(layerIDs(t, database)) }()
		if got := <-seen; got != "[first]" {
			t.Errorf("a reader beside the writer sees %s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReaderKeepsItsStateWhileOthersCommit(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	begun, commit := make(chan struct{}), make(chan struct{})
	var counts []int
	done := make(chan error, 1)
	// The first writer opens the file for writing, so that readers and later
	// writers share it.
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		go func() {
			done <- database.View(t.Context(), func(tx *db.ReadTx) error {
				for range 2 {
					layers, err := tx.Layers()
					if err != nil {
						return err
					}
					if counts = append(counts, len(layers)); len(counts) == 1 {
						close(begun)
						<-commit
					}
				}
				return nil
			})
		}()
		<-begun
		return createLayer("l0")(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		update(t, database, createLayer(model.LayerID(id("m%d", i))))
	}
	close(commit)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if counts[0] != 0 || counts[1] != 0 {
		t.Errorf("the reader has seen %d layers, then %d", counts[0], counts[1])
	}
}

func TestAllOfATransactionHasOneTime(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 3600))
	database := dbtest.New(t, db.Options{Now: func() time.Time { now = now.Add(time.Hour); return now }})
	update(t, database, func(tx *db.Tx) error {
		first := tx.Now()
		if err := errors.Join(createLayer("a")(tx), createLayer("b")(tx)); err != nil {
			return err
		}
		for _, name := range []model.LayerID{"a", "b"} {
			l, err := tx.Layer(name)
			if err != nil || !l.Created.Equal(first) || l.Created.Location() != time.UTC {
				t.Errorf("%s: %v %v", name, l, err)
			}
		}
		return nil
	})
}
