package graph_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// Whoever expects an error may go on after it: it must not have changed
// anything.
func TestRefusedOperationsChangeNothing(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	noError(t, s.Update(t.Context(), pull(t, s).commit))
	createContainer(t, s, "c", "image")
	must(s.AddNames(t.Context(), model.ContainerID("c"), "taken"))(t)
	layer := stageLayer(t, s, graph.LayerSpec{ID: "layer", Names: []string{"late"}}, file("a", "1"))
	must(s.AddNames(t.Context(), model.LayerID("base"), "late"))(t)
	ghost := stageLayer(t, s, graph.LayerSpec{ID: "ghost"}, file("a", "1"))
	orphan := stageLayer(t, s, graph.LayerSpec{ID: "orphan", StagedParent: ghost}, file("b", "1"))
	item := stageData(t, s, "x")

	image := model.ImageID("image")
	for name, call := range map[string]func(*graph.Tx) error{
		"container with a taken name": func(tx *graph.Tx) error {
			_, err := tx.CreateContainer(graph.ContainerSpec{ID: "d", Layer: "own", Image: image, Names: []string{"taken"}})
			return err
		},
		"container with a taken ID": func(tx *graph.Tx) error {
			_, err := tx.CreateContainer(graph.ContainerSpec{ID: "c", Layer: "own", Image: image})
			return err
		},
		"container with a taken layer": func(tx *graph.Tx) error {
			_, err := tx.CreateContainer(graph.ContainerSpec{ID: "d", Layer: "base"})
			return err
		},
		"container of unknown image": func(tx *graph.Tx) error {
			_, err := tx.CreateContainer(graph.ContainerSpec{ID: "d", Image: "unicorn"})
			return err
		},
		"image with a taken name": func(tx *graph.Tx) error {
			_, err := tx.CreateImage(graph.ImageSpec{ID: "i", Names: []string{"new", "name"}})
			return err
		},
		"image with unknown top layer": func(tx *graph.Tx) error {
			_, err := tx.CreateImage(graph.ImageSpec{ID: "i", TopLayer: "unicorn"})
			return err
		},
		"image with a bad digest": func(tx *graph.Tx) error {
			_, err := tx.CreateImage(graph.ImageSpec{ID: "i", Digest: "sha256:xyz"})
			return err
		},
		"layer with a taken name": func(tx *graph.Tx) error {
			_, err := tx.CreateLayer(graph.LayerSpec{ID: "x", Names: []string{"late"}})
			return err
		},
		"layer on that of a container": func(tx *graph.Tx) error {
			c, err := tx.Container("c")
			if err == nil {
				_, err = tx.CreateLayer(graph.LayerSpec{ID: "x", Parent: c.Layer})
			}
			return err
		},
		"empty layer on a staged one":        func(tx *graph.Tx) error { _, err := tx.CreateLayer(graph.LayerSpec{StagedParent: ghost}); return err },
		"staged layer on an uncommitted one": func(tx *graph.Tx) error { _, err := tx.AddLayer(orphan); return err },
		"staged layer with a taken name":     func(tx *graph.Tx) error { _, err := tx.AddLayer(layer); return err },
		"data of an unknown object":          func(tx *graph.Tx) error { return tx.SetData(model.ImageID("unicorn"), "k", item) },
		"data with an empty key":             func(tx *graph.Tx) error { return tx.SetData(image, "", item) },
		"deleting a used image":              func(tx *graph.Tx) error { _, err := tx.DeleteImage(image); return err },
		"deleting a used layer":              func(tx *graph.Tx) error { return tx.DeleteLayer("top") },
		"deleting a parent":                  func(tx *graph.Tx) error { return tx.DeleteLayer("base") },
		"deleting unknown data":              func(tx *graph.Tx) error { return tx.DeleteData(image, "unicorn") },
		"a bad name behind a stolen one": func(tx *graph.Tx) error {
			_, err := tx.SetNames(model.LayerID("top"), "late", "new", "")
			return err
		},
		"metadata of an unknown object": func(tx *graph.Tx) error { return tx.SetMetadata(model.LayerID("x"), "text") },
	} {
		before := recordsOf(t, s)
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
			err := call(tx)
			if err == nil {
				t.Errorf("%s is not refused", name)
			}
			wantError(t, err)
			return nil
		}))
		if diff := cmp.Diff(before, recordsOf(t, s)); diff != "" {
			t.Errorf("%s has changed something:\n%s", name, diff)
		}
	}
	// What was refused can still be used.
	must(s.RemoveNames(t.Context(), model.LayerID("base"), "late"))(t)
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		_, err := tx.AddLayer(layer)
		return errors.Join(err, tx.SetData(image, "x", item))
	}))
	noError(t, orphan.Discard(t.Context()))
	noError(t, ghost.Discard(t.Context()))
}
