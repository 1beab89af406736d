package graph_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// wantDriverLayers compares the layers that the driver has, and those that only
// the driver knows.
func wantDriverLayers(t testing.TB, s *graph.Store, all, strays []string) {
	t.Helper()
	if diff := cmp.Diff(all, must(s.DriverLayers(t.Context()))(t)); diff != "" {
		t.Errorf("layers of the driver (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(strays, must(s.StrayLayers(t.Context()))(t)); diff != "" {
		t.Errorf("layers that only the driver knows (-want +got):\n%s", diff)
	}
}

func TestLayersThatOnlyTheDriverKnows(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		ctx := t.Context()
		wantDriverLayers(t, s, []string{}, nil)
		importLayer(t, s, "base", "", file("a", "1"))
		createLayer(t, s, "empty", "base")
		createLayer(t, s, "zz", "base") // nothing ever needs its directory
		makeDriverLayer := func(id, parent model.LayerID) {
			t.Helper()
			if got := must(s.CreateDriverLayer(ctx, graph.LayerSpec{ID: id, Parent: parent, Writable: true}))(t); got != id {
				t.Errorf("the ID is %s instead of %s", got, id)
			}
		}
		makeDriverLayer("alone", "")
		makeDriverLayer("above-alone", "alone")
		makeDriverLayer("above-base", "base")
		makeDriverLayer("above-empty", "empty")
		generated := must(s.CreateDriverLayer(ctx, graph.LayerSpec{}))(t)
		noError(t, s.RemoveStrayLayer(ctx, string(generated)))
		strays := []string{"above-alone", "above-base", "above-empty", "alone"}
		wantDriverLayers(t, s, []string{"above-alone", "above-base", "above-empty", "alone", "base", "empty", "zz"}, strays)

		// There is no record of them, ...
		if _, err := s.Layer(ctx, "alone"); err == nil {
			t.Error("there is a record")
		}
		// ... no ID is used twice, ...
		for _, id := range []model.LayerID{"alone", "base", "zz"} {
			_, err := s.CreateDriverLayer(ctx, graph.LayerSpec{ID: id})
			wantError(t, err, model.ErrDuplicateID)
		}
		for _, spec := range []graph.LayerSpec{{ID: "x", Parent: "unicorn"}, {ID: "x", Parent: "bas"}} {
			_, err := s.CreateDriverLayer(ctx, spec)
			wantError(t, err, model.ErrLayerUnknown)
		}
		_, err := s.CreateDriverLayer(ctx, graph.LayerSpec{ID: "../x"})
		wantError(t, err, model.ErrInvalid)
		// ... and what has a record is not removed.
		wantError(t, s.RemoveStrayLayer(ctx, "base"), model.ErrInUse)
		noError(t, s.RemoveStrayLayer(ctx, "alone"))
		wantDriverLayers(t, s, []string{"above-alone", "above-base", "above-empty", "base", "empty", "zz"}, strays[:3])
		must(s.Recover(ctx))(t)
		wantDriverLayers(t, s, []string{"base", "empty", "zz"}, nil)
	})
}

// A layer on one that only the driver knows is a whole layer for the driver.
func TestDriverLayersHaveTheContentOfTheirParents(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	for _, pair := range [][2]model.LayerID{{"one", "base"}, {"two", "one"}} {
		must(s.CreateDriverLayer(t.Context(), graph.LayerSpec{ID: pair[0], Parent: pair[1]}))(t)
		if text, err := os.ReadFile(filepath.Join(p.root, "vfs", "dir", string(pair[0]), "a")); string(text) != "1" {
			t.Errorf("%s has %q, %v", pair[0], text, err)
		}
	}
	must(s.Recover(t.Context()))(t)
}

func TestWhatIsBeingMadeIsNotStray(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	staged := stageLayer(t, s, graph.LayerSpec{ID: "new"}, file("a", "1"))
	wantDriverLayers(t, s, []string{"new"}, nil)
	wantError(t, s.RemoveStrayLayer(t.Context(), "new"), model.ErrBusy)
	noError(t, staged.Discard(t.Context()))
	wantDriverLayers(t, s, []string{}, nil)
}

func TestWhatIsDeletedIsNoLayerOfTheDriver(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	diff := must(s.Diff(t.Context(), "base", graph.DiffOptions{}))(t) // keeps the content from being removed
	noError(t, s.DeleteLayer(t.Context(), "base"))
	wantDriverLayers(t, s, []string{}, nil)
	noError(t, diff.Close())
}

// lateDriver is a driver that lists layers which have just been removed.
type lateDriver struct {
	drivers.Driver

	gone []string
}

func (d lateDriver) List(ctx context.Context) ([]string, error) {
	ids, err := d.Driver.List(ctx)
	return append(ids, d.gone...), err
}

func TestWhatWasRemovedMeanwhileIsNoStray(t *testing.T) {
	p := newPlace(t, "vfs")
	registry := builtin.Registry()
	vfs := &registry[slices.IndexFunc(registry, func(e drivers.Entry) bool { return e.Name == "vfs" })]
	open := vfs.Open
	vfs.Open = func(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
		driver, err := open(ctx, config)
		return lateDriver{driver, []string{"removed"}}, err
	}
	s := p.open(t, func(o *graph.Options) { o.Drivers = registry })
	must(s.CreateDriverLayer(t.Context(), graph.LayerSpec{ID: "alone"}))(t)
	if got := must(s.StrayLayers(t.Context()))(t); !slices.Equal(got, []string{"alone"}) {
		t.Errorf("layers that only the driver knows: %q", got)
	}
	noError(t, s.RemoveStrayLayer(t.Context(), "alone"))
}
