package main

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// refsOf returns what refs says about an object.
func (s *sample) refsOf(t testing.TB, ref string) (about references) {
	t.Helper()
	r := s.csdb(t, "refs", "--json", ref)
	if r.status != exitOK {
		t.Fatalf("refs %s: %+v", ref, r)
	}
	must(t, json.Unmarshal([]byte(r.stdout), &about))
	return about
}

// What refs says about a deletion is what the deletion does.
func TestRefsForetellsDeletions(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	defer store.Close()
	if about := s.refsOf(t, string(appImage)); about.Deletion.Possible || !about.UsedBy[0].Blocks {
		t.Errorf("image of a container: %+v", about)
	}
	for _, c := range []model.ContainerID{webCtr, jobCtr} {
		about := s.refsOf(t, string(c))
		own, err := store.Container(t.Context(), string(c))
		must(t, err)
		if !about.Deletion.Possible || !slices.Equal(about.Deletion.Layers, []model.LayerID{own.Layer}) {
			t.Errorf("container: %+v", about.Deletion)
		}
		foretold(t, store, &about, func() error { return store.DeleteContainer(t.Context(), c) })
	}
	// Layers can be deleted from the top only, and not below an image.
	for _, layer := range append(midLayers(), baseLayer, sideLayer) {
		about := s.refsOf(t, string(layer))
		if err := store.DeleteLayer(t.Context(), layer); !errors.Is(err, model.ErrInUse) || about.Deletion.Possible {
			t.Errorf("layer: %v, and refs said %+v", err, about.Deletion)
		}
	}
	// The other image keeps the base layer, until it goes itself.
	for _, image := range []model.ImageID{appImage, toolImage} {
		about := s.refsOf(t, string(image))
		var gone []model.LayerID
		foretold(t, store, &about, func() (err error) {
			gone, err = store.DeleteImage(t.Context(), image)
			return err
		})
		if diff := cmp.Diff(gone, about.Deletion.Layers); diff != "" {
			t.Errorf("image %s: %s", image, diff)
		}
	}
}

// foretold compares what a deletion frees with what refs has said.
func foretold(t testing.TB, store *graph.Store, about *references, remove func() error) {
	t.Helper()
	before := spaceOf(t, store)
	must(t, remove())
	if freed := before - spaceOf(t, store); freed != about.Deletion.Frees || freed == 0 {
		t.Errorf("%s: frees %d, and refs said %d", about.ID, freed, about.Deletion.Frees)
	}
}

// spaceOf returns the size of all layers and data items, in bytes.
func spaceOf(t testing.TB, store *graph.Store) (size int64) {
	t.Helper()
	must(t, store.View(t.Context(), func(tx *graph.ReadTx) error {
		usage, err := tx.Usage()
		if err == nil {
			size = usage.LayerBytes + usage.DataBytes
		}
		return err
	}))
	return size
}

func TestRefsOfAnImageWithVariantsOfItsTopLayer(t *testing.T) {
	s := newSample(t)
	variant := model.LayerID(id("3a9d01"))
	store := s.open(t)
	_, err := store.ImportLayer(t.Context(), graph.LayerSpec{ID: variant, Parent: baseLayer}, diff(t, variant))
	must(t, err)
	must(t, store.DeleteContainer(t.Context(), jobCtr))
	must(t, store.Close())
	s.addVariant(t, toolImage, variant)

	about := s.refsOf(t, string(toolImage))
	var shared []model.LayerID
	for _, l := range about.Keeps.Layers {
		if l.Shared {
			shared = append(shared, model.LayerID(l.ID))
		}
	}
	if want := []model.LayerID{baseLayer}; !slices.Equal(shared, want) || len(about.Keeps.Layers) != 3 {
		t.Errorf("shared: %v, want %v of %d", shared, want, len(about.Keeps.Layers))
	}
	// An image lets go of a variant, so that it can be deleted.
	about = s.refsOf(t, string(variant))
	if !about.Deletion.Possible || len(about.UsedBy) != 1 || about.UsedBy[0].As != asMapped {
		t.Errorf("variant: %+v", about)
	}
}

// addVariant makes a layer a mapped variant of an image's top layer.
func (s *sample) addVariant(t testing.TB, image model.ImageID, layer model.LayerID) {
	t.Helper()
	database, err := db.Open(t.Context(), s.root, db.Options{NoSync: true})
	must(t, err)
	defer database.Close()
	must(t, database.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.UpdateImage(db.OpModify, image, func(i *model.Image) error {
			i.MappedTopLayers = append(i.MappedTopLayers, layer)
			return nil
		})
		return err
	}))
}

func TestRefsForetellsDeletionsBesideLeases(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	defer store.Close()
	ctx := t.Context()
	must(t, store.DeleteContainer(ctx, webCtr))
	_, err := store.AddLease(ctx, graph.LeaseSpec{ID: "mid", Objects: []model.ID{midLayers()[1]}, For: 4 * time.Hour})
	must(t, err)
	_, err = store.AddLease(ctx, graph.LeaseSpec{ID: "own", Objects: []model.ID{model.LayerID(id("70b1a7"))}, For: 4 * time.Hour})
	must(t, err)
	about := s.refsOf(t, string(jobCtr))
	if err := store.DeleteContainer(ctx, jobCtr); !errors.Is(err, model.ErrLeased) || about.Deletion.Possible || len(about.Leases) != 1 || about.Leases[0].ID != "own" {
		t.Errorf("container: %v, and refs said %+v", err, about)
	}
	about = s.refsOf(t, string(appImage))
	var gone []model.LayerID
	foretold(t, store, &about, func() (err error) {
		gone, err = store.DeleteImage(ctx, appImage)
		return err
	})
	if diff := cmp.Diff(gone, about.Deletion.Layers); diff != "" || len(gone) != 1 {
		t.Errorf("image: %s", diff)
	}
	about = s.refsOf(t, string(midLayers()[1]))
	if err := store.DeleteLayer(ctx, midLayers()[1]); !errors.Is(err, model.ErrLeased) || about.Deletion.Possible {
		t.Errorf("layer: %v, and refs said %+v", err, about)
	}
}
