package graph_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

func TestReapersOfTheSameLayersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		for n := range 20 {
			x, y := model.LayerID(fmt.Sprintf("x%d", n)), model.LayerID(fmt.Sprintf("y%d", n))
			importLayer(t, s, x, "", file("a", "1"))
			importLayer(t, s, y, "", file("b", "1"))
			one := must(s.Diff(t.Context(), x, graph.DiffOptions{From: y}))(t)
			two := must(other.Diff(t.Context(), y, graph.DiffOptions{From: x}))(t)
			noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
				if err := tx.DeleteLayer(x); err != nil {
					return err
				}
				return tx.DeleteLayer(y)
			}))
			var both sync.WaitGroup
			both.Go(func() { _ = one.Close() })
			both.Go(func() { _ = two.Close() })
			both.Wait()
		}
		checkEmpty(t, s)
	})
}

// A process that has been stopped, or whose commit ended nobody knows how, may
// have a lock on the path of something that others can delete.
func TestDeletionDoesNotWaitForWhoKeepsThePath(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "layer", "", file("a", "1"))
		kept := must(p.locks().TryLock("path:"+p.driver+"/layer", flock.Exclusive))(t)
		noError(t, s.DeleteLayer(t.Context(), "layer"))
		r := must(s.Recover(t.Context()))(t)
		if len(r.Busy) != 1 {
			t.Errorf("recovered %+v", r)
		}
		kept.Unlock()
		// The wait that was given up may still get the lock, for an instant.
		for len(r.Trash) == 0 {
			r = must(s.Recover(t.Context()))(t)
		}
	})
}

// locks returns the locks for single objects.
func (p *place) locks() *flock.Keys { return flock.NewKeys(filepath.Join(p.root, "csdb.locks")) }
