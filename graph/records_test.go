package graph_test

import (
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// records is all that the records of a store say.
type records struct {
	Layers     []*model.Layer
	Images     []*model.Image
	Containers []*model.Container
	Data       map[string][]model.Data
}

// recordsOf returns the records of a store.
func recordsOf(t testing.TB, s *graph.Store) (r records) {
	t.Helper()
	r.Data = make(map[string][]model.Data)
	noError(t, s.View(afterwards(t), func(tx *graph.ReadTx) (err error) {
		if r.Layers, err = tx.Layers(); err != nil {
			return err
		}
		if r.Images, err = tx.Images(); err != nil {
			return err
		}
		if r.Containers, err = tx.Containers(); err != nil {
			return err
		}
		ids, err := allIDs(tx)
		for _, id := range ids {
			items, err := tx.Data(id)
			if err != nil {
				return err
			}
			if len(items) > 0 {
				r.Data[string(id.Kind())+" "+id.String()] = items
			}
		}
		return err
	}))
	return r
}
