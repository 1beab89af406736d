package db_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
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

func TestExamineAllSeesOneStateOfAllThatCanBeRead(t *testing.T) {
	stores := []*db.DB{dbtest.New(t, db.Options{}), dbtest.New(t, db.Options{})}
	dir := t.TempDir()
	damaged, missing := filepath.Join(dir, "damaged"), filepath.Join(dir, "missing")
	if err := os.WriteFile(damaged, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := []string{missing, stores[0].Path(), damaged, stores[1].Path()}
	err := db.ExamineAll(t.Context(), 0, paths, func(all []*db.Examined) error {
		for i, want := range []error{fs.ErrNotExist, nil, model.ErrCorrupt, nil} {
			e := all[i]
			if e.Path != paths[i] || !errors.Is(e.Err, want) || (e.Tx == nil) != (want != nil) || (e.Pages == nil) != (want != nil) {
				t.Errorf("%d: got %+v", i, e)
			}
		}
		var ids []string
		for _, i := range []int{1, 3} {
			info, err := all[i].Tx.Info()
			if err != nil {
				return err
			}
			ids = append(ids, info.UUID)
		}
		if ids[0] == ids[1] {
			t.Error("both are the same store")
		}
		// Whoever wants to change one of them has to wait.
		for _, store := range stores {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, model.ErrBusy)
			err := store.Update(ctx, func(*db.Tx) error { return nil })
			cancel()
			if !errors.Is(err, model.ErrBusy) {
				t.Errorf("changed meanwhile: %v", err)
			}
		}
		return io.ErrNoProgress
	})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

func TestExamineAllWaitsForEachDatabaseOnlySoLong(t *testing.T) {
	stores := []*db.DB{dbtest.New(t, db.Options{}), dbtest.New(t, db.Options{})}
	for _, busy := range stores {
		err := busy.Update(t.Context(), func(*db.Tx) error {
			return db.ExamineAll(t.Context(), time.Millisecond, []string{stores[0].Path(), stores[1].Path()}, func([]*db.Examined) error {
				t.Error("it did not wait")
				return nil
			})
		})
		if !errors.Is(err, model.ErrBusy) {
			t.Errorf("got %v", err)
		}
	}
	for _, store := range stores { // no lock has been left
		if err := store.Update(t.Context(), func(*db.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckFindsWhatRecordsReferToInADatabaseBeside(t *testing.T) {
	store, beside := dbtest.New(t, db.Options{}), dbtest.New(t, db.Options{})
	create := func(in *db.DB, layer *model.Layer) {
		t.Helper()
		if err := in.Update(t.Context(), func(tx *db.Tx) error { return tx.CreateLayer(layer) }); err != nil {
			t.Fatal(err)
		}
	}
	create(beside, &model.Layer{ID: "below"})
	create(store, &model.Layer{ID: "own", Parent: "below"})
	err := db.ExamineAll(t.Context(), 0, []string{store.Path(), beside.Path()}, func(all []*db.Examined) error {
		alone, errAlone := all[0].Tx.Check(t.Context())
		both, errBoth := all[0].Tx.Check(t.Context(), all[1].Tx)
		if len(alone) != 1 || alone[0].Code != db.ProblemParent || len(both) != 0 {
			t.Errorf("alone: %v; with the other: %v", alone, both)
		}
		return errors.Join(errAlone, errBoth)
	})
	if err != nil {
		t.Error(err)
	}
}

// Who waits for several databases takes them in the order of the UUIDs of their
// stores, so that two never wait for each other.
func TestExamineAllTakesLocksInTheOrderOfAll(t *testing.T) {
	stores := []*db.DB{dbtest.New(t, db.Options{}), dbtest.New(t, db.Options{})}
	slices.SortFunc(stores, func(a, b *db.DB) int {
		markers := [2]string{}
		for i, store := range []*db.DB{a, b} {
			uuid, err := db.ReadMarker(filepath.Dir(store.Path()))
			if err != nil {
				t.Fatal(err)
			}
			markers[i] = uuid
		}
		return strings.Compare(markers[0], markers[1])
	})
	for _, paths := range [][]string{{stores[0].Path(), stores[1].Path()}, {stores[1].Path(), stores[0].Path()}} {
		// While the first one is not free, the second one is not taken.
		var examining *testutil.Call
		err := stores[0].Update(t.Context(), func(*db.Tx) error {
			examining = testutil.Start(func() error {
				return db.ExamineAll(t.Context(), 10*time.Second, paths, func([]*db.Examined) error { return nil })
			})
			examining.AwaitWait(t, "flock.(*RW).Acquire")
			ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, model.ErrBusy)
			defer cancel()
			return stores[1].Update(ctx, func(*db.Tx) error { return nil })
		})
		if err := errors.Join(err, examining.Result()); err != nil {
			t.Error(err)
		}
	}
}
