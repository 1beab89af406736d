package graph_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// nestedCalls are calls that begin a transaction of the store.
func nestedCalls(ctx context.Context, s *graph.Store) map[string]func() error {
	id := model.ImageID("image")
	return map[string]func() error{
		"View":     func() error { return s.View(ctx, func(*graph.ReadTx) error { return nil }) },
		"Update":   func() error { return s.Update(ctx, func(*graph.Tx) error { return nil }) },
		"Image":    func() error { _, err := s.Image(ctx, "image"); return err },
		"OpenData": func() error { _, _, err := s.OpenData(ctx, id, "config"); return err },
		"SetData":  func() error { return s.SetData(ctx, id, "config", strings.NewReader("")) },
		"StageLayer": func() error {
			_, err := s.StageLayer(ctx, graph.LayerSpec{}, strings.NewReader(""))
			return err
		},
		"StageData": func() error {
			_, err := s.StageData(ctx, graph.DataSpec{}, strings.NewReader(""))
			return err
		},
		"ApplyDiff": func() error { _, err := s.ApplyDiff(ctx, "top", strings.NewReader("")); return err },
		"Mount":     func() error { _, err := s.MountImage(ctx, "image", graph.MountOptions{}); return err },
		"Unmount":   func() error { _, err := s.UnmountImage(ctx, "image", false); return err },
		"Mounted":   func() error { _, err := s.Mounted(ctx, "top"); return err },
		"Diff":      func() error { _, err := s.Diff(ctx, "top", graph.DiffOptions{}); return err },
		"Dir":       func() error { _, err := s.Dir(ctx, id); return err },
		"Recover":   func() error { _, err := s.Recover(ctx); return err },
		"Wipe":      func() error { return s.Wipe(ctx) },
	}
}

func TestNestedTransactionsFailAtOnce(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	noError(t, s.Update(t.Context(), pull(t, s).commit))
	check := func(t *testing.T) {
		t.Helper()
		for name, call := range nestedCalls(t.Context(), s) {
			if err := call(); !errors.Is(err, model.ErrNested) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	noError(t, s.View(t.Context(), func(*graph.ReadTx) error { check(t); return nil }))
	noError(t, s.Update(t.Context(), func(*graph.Tx) error { check(t); return nil }))
	checkPulled(t, s)
}

func TestTransactionIsUselessAfterItsEnd(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	staged := stageLayer(t, s, graph.LayerSpec{ID: "x"}, file("a", "1"))
	var read *graph.ReadTx
	var write *graph.Tx
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error { read = tx; return nil }))
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { write = tx; return nil }))
	_, err := read.Layers()
	wantError(t, err, model.ErrInvalid)
	_, err = write.AddLayer(staged)
	wantError(t, err, model.ErrInvalid)
	_, err = write.CreateLayer(graph.LayerSpec{})
	wantError(t, err, model.ErrInvalid)
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { _, err := tx.AddLayer(staged); return err }))
}

func TestWaitingForATransactionEndsWithTheContext(t *testing.T) {
	p := newPlace(t, "vfs")
	s, other := p.open(t), p.open(t)
	began, end := make(chan bool), make(chan bool)
	done := make(chan error, 1)
	go func() {
		done <- s.Update(t.Context(), func(*graph.Tx) error {
			close(began)
			<-end
			return nil
		})
	}()
	<-began
	for _, test := range []struct {
		name, at string
		store    *graph.Store
	}{{"the same handle", "db.(*file).awaitWriter", s}, {"another handle", "flock.(*Queue).take", other}} {
		err := testutil.GiveUp(t, test.at, func(ctx context.Context) error {
			return test.store.Update(ctx, func(*graph.Tx) error { return nil })
		})
		if !errors.Is(err, model.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	close(end)
	noError(t, <-done)
}

// A reader that began before a commit goes on seeing the store as it was, the
// contents included.
func TestViewKeepsItsContents(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	noError(t, s.Update(t.Context(), pull(t, s).commit))
	id := model.ImageID("image")
	changes := map[string]func(*graph.Tx, *graph.StagedData) error{
		"replaced": func(tx *graph.Tx, item *graph.StagedData) error { return tx.SetData(id, "config", item) },
		"deleted":  func(tx *graph.Tx, _ *graph.StagedData) error { _, err := tx.DeleteImage(id); return err },
	}
	for _, name := range []string{"replaced", "deleted"} {
		item := stageData(t, s, "new")
		began, viewing, done := make(chan bool), make(chan bool), make(chan error, 1)
		go func() {
			done <- s.Update(t.Context(), func(tx *graph.Tx) error {
				close(began)
				<-viewing
				return changes[name](tx, item)
			})
		}()
		<-began
		noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
			close(viewing)
			noError(t, <-done)
			f, _, err := tx.OpenData(id, "config")
			if err != nil {
				t.Errorf("item that was %s: %v", name, err)
				return nil
			}
			return f.Close()
		}))
		noError(t, item.Discard(t.Context()))
	}
	_, err := s.Image(t.Context(), "image")
	wantError(t, err, model.ErrImageUnknown)
}
