package graph_test

import (
	"errors"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// The directory of a layer is made when it is first needed, which is too late
// to say that it cannot be.
func TestOptionsThatTheDriverRefusesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		options := map[string]string{"unicorn": "1"}
		_, err := s.CreateLayer(t.Context(), graph.LayerSpec{ID: "layer", Writable: true, StorageOpt: options})
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("layer: got %v, want ErrInvalid", err)
		}
		_, err = s.CreateContainer(t.Context(), graph.ContainerSpec{ID: "container", StorageOpt: options})
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("container: got %v, want ErrInvalid", err)
		}
		noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
			layers, err := tx.Layers()
			if len(layers) > 0 {
				t.Errorf("there is layer %q", layers[0].ID)
			}
			return err
		}))
	})
}
