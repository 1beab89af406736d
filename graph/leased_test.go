package graph_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func TestLeasedObjectIsNotDeleted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leased, named model.ID
		remove        func(context.Context, *graph.Store) error
	}{
		"layer": {model.LayerID("alone"), model.LayerID("alone"), func(ctx context.Context, s *graph.Store) error { return s.DeleteLayer(ctx, "alone") }},
		"image": {model.ImageID("image"), model.ImageID("image"), func(ctx context.Context, s *graph.Store) error {
			_, err := s.DeleteImage(ctx, "image")
			return err
		}},
		"container":         {model.ContainerID("c"), model.ContainerID("c"), func(ctx context.Context, s *graph.Store) error { return s.DeleteContainer(ctx, "c") }},
		"container's layer": {model.LayerID("own"), model.LayerID("own"), func(ctx context.Context, s *graph.Store) error { return s.DeleteContainer(ctx, "c") }},
		"layer by force":    {model.LayerID("base"), model.LayerID("base"), func(ctx context.Context, s *graph.Store) error { return s.Delete(ctx, model.LayerID("base")) }},
		"image by force":    {model.ImageID("used"), model.ImageID("used"), func(ctx context.Context, s *graph.Store) error { return s.Delete(ctx, model.ImageID("used")) }},
		"container by force": {model.ContainerID("c"), model.ContainerID("c"), func(ctx context.Context, s *graph.Store) error {
			return s.Delete(ctx, model.ContainerID("c"))
		}},
		"container's layer by force": {model.LayerID("own"), model.LayerID("own"), func(ctx context.Context, s *graph.Store) error {
			return s.Delete(ctx, model.ContainerID("c"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "vfs")
			s := leasable(t, p)
			createImage(t, s, "used", "top")
			must(s.CreateContainer(t.Context(), graph.ContainerSpec{ID: "c", Image: "used", Layer: "own"}))(t)
			spec := leaseSpec(test.leased)
			spec.Reason = "to be kept"
			lease := addLease(t, s, spec)
			before := recordsOf(t, s)
			other := p.open(t)
			err := test.remove(t.Context(), other)
			wantError(t, err, model.ErrLeased, model.ErrInUse)
			for _, part := range []string{
				string(test.named.Kind()), test.named.String(), lease.Command, fmt.Sprint(lease.PID), lease.Expires.Format(time.RFC3339), "to be kept",
				"csdb lease remove lease",
			} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if diff := cmp.Diff(before, recordsOf(t, s)); diff != "" {
				t.Error(diff)
			}
			noError(t, s.RemoveLease(t.Context(), "lease"))
			noError(t, test.remove(t.Context(), other))
			if name := "base"; test.named.String() == name { // what was on it is broken
				p.tampered = true
			}
		})
	}
}

// A refusal changes nothing, so that the transaction may go on.
func TestTransactionGoesOnAfterALease(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, leaseSpec(model.ImageID("image")))
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		_, err := tx.DeleteImage("image")
		wantError(t, err, model.ErrLeased)
		return tx.DeleteLayer("alone")
	}))
	must(s.Image(t.Context(), "image"))(t)
	_, err := s.Layer(t.Context(), "alone")
	wantError(t, err, model.ErrLayerUnknown)
}

// What something else needs is refused for that reason, as it is without leases.
func TestLeaseHidesNoOtherReason(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	createContainer(t, s, "c", "image")
	addLease(t, s, leaseSpec(model.LayerID("base"), model.LayerID("top"), model.ImageID("image")))
	wantError(t, s.DeleteLayer(t.Context(), "base"), model.ErrLayerHasChildren)
	_, err := s.DeleteImage(t.Context(), "image")
	wantError(t, err, model.ErrImageUsedByContainer)
	wantError(t, s.DeleteLayer(t.Context(), "nothing"), model.ErrNotALayer)
}

// A lease may be left of an object that is gone, see fsck.
func TestLeaseMakesNoObjectKnown(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	must(s.CreateContainer(t.Context(), graph.ContainerSpec{ID: "c", Layer: "own"}))(t)
	addLease(t, s, leaseSpec(model.ContainerID("c"), model.LayerID("own")))
	database := must(db.Open(t.Context(), p.root, db.Options{}))(t)
	noError(t, database.Update(t.Context(), func(tx *db.Tx) error {
		_, _, errContainer := tx.DeleteContainer("c")
		_, _, errLayer := tx.DeleteLayer("own")
		return errors.Join(errContainer, errLayer)
	}))
	database.Close()
	wantError(t, s.DeleteContainer(t.Context(), "c"), model.ErrNotAContainer)
	wantError(t, s.DeleteLayer(t.Context(), "own"), model.ErrNotALayer)
	wantError(t, s.Delete(t.Context(), model.LayerID("own")), model.ErrLayerUnknown)
	_, err := s.ExtendLease(t.Context(), "lease", time.Hour)
	wantError(t, err, model.ErrContainerUnknown)
}

func TestDeleteImageStopsAtLeasedLayers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leased []model.ID
		gone   []model.LayerID
	}{
		"top":     {[]model.ID{model.LayerID("top")}, []model.LayerID{"mapped"}},
		"middle":  {[]model.ID{model.LayerID("base")}, []model.LayerID{"mapped", "top"}},
		"bottom":  {[]model.ID{model.LayerID("bottom")}, []model.LayerID{"mapped", "top", "base"}},
		"variant": {[]model.ID{model.LayerID("mapped")}, nil},
		"other":   {[]model.ID{model.LayerID("alone")}, []model.LayerID{"mapped", "top", "base", "bottom"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "vfs")
			s := p.open(t)
			for _, l := range [][2]model.LayerID{{"bottom"}, {"base", "bottom"}, {"top", "base"}, {"mapped"}, {"alone"}} {
				createLayer(t, s, l[0], l[1])
			}
			createImage(t, s, "image", "top")
			addMapped(t, p, "image", "mapped")
			addLease(t, s, leaseSpec(test.leased...))
			for _, reader := range []*graph.Store{s, p.open(t, func(o *graph.Options) { o.ReadOnly = true })} {
				noError(t, reader.View(t.Context(), func(tx *graph.ReadTx) error {
					layers, err := tx.LayersOnlyOf("image")
					if !slices.Equal(layers, test.gone) {
						t.Errorf("foretold %v instead of %v", layers, test.gone)
					}
					return err
				}))
			}
			if gone := must(s.DeleteImage(t.Context(), "image"))(t); !slices.Equal(gone, test.gone) {
				t.Errorf("deleted %v instead of %v", gone, test.gone)
			}
			must(s.Layer(t.Context(), test.leased[0].String()))(t)
		})
	}
}

func TestLongestOfSeveralLeasesIsNamed(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	for id, length := range map[string]time.Duration{"a": time.Hour, "b": 3 * time.Hour, "c": 2 * time.Hour} {
		addLease(t, s, graph.LeaseSpec{ID: id, Objects: []model.ID{model.LayerID("alone")}, For: length})
	}
	if err := s.DeleteLayer(t.Context(), "alone"); err == nil || !strings.Contains(err.Error(), "lease remove b`") {
		t.Errorf("got %v", err)
	}
	noError(t, errors.Join(s.RemoveLease(t.Context(), "b"), s.RemoveLease(t.Context(), "c")))
	wantError(t, s.DeleteLayer(t.Context(), "alone"), model.ErrLeased)
}

func TestWipeEndsLeases(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, leaseSpec(model.LayerID("base"), model.ImageID("image")))
	noError(t, s.Wipe(t.Context()))
	wantLeases(t, s)
	checkEmpty(t, s)
}

func TestCollectSparesWhatIsLeased(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		leased model.ID
		// images and layers are what goes nevertheless, leased what is said to
		// have been spared.
		images, layers, spared []string
	}{
		"image":          {model.ImageID("image"), nil, []string{"alone"}, []string{"image"}},
		"its layer":      {model.LayerID("top"), []string{"image"}, []string{"alone"}, []string{"top"}},
		"layer below":    {model.LayerID("base"), []string{"image"}, []string{"alone"}, []string{"base"}},
		"layer":          {model.LayerID("alone"), []string{"image"}, nil, []string{"alone"}},
		"what is in use": {model.LayerID("used"), []string{"image"}, []string{"alone"}, nil},
		"used image":     {model.ImageID("in-use"), []string{"image"}, []string{"alone"}, nil},
		"a named layer":  {model.LayerID("named"), []string{"image"}, []string{"alone"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "vfs")
			s := leasable(t, p)
			createLayer(t, s, "used", "")
			must(s.CreateLayer(t.Context(), graph.LayerSpec{ID: "named", Names: []string{"keep"}}))(t)
			createImage(t, s, "in-use", "used")
			createContainer(t, s, "c", "in-use")
			spec := leaseSpec(test.leased)
			spec.For = 48 * time.Hour
			addLease(t, s, spec)
			c := collect(t, s, unused(graph.UnusedPolicy{}))
			var spared []string
			for _, o := range c.Leased {
				if spared = append(spared, o.ID); o.Kind != test.leased.Kind() || o.Lease.ID != "lease" || o.Names == nil {
					t.Errorf("spared %+v", o)
				}
			}
			for _, diff := range []string{
				cmp.Diff(test.images, collectedIDs(c.Images)), cmp.Diff(test.layers, collectedIDs(c.Layers)), cmp.Diff(test.spared, spared),
			} {
				if diff != "" {
					t.Error(diff)
				}
			}
			noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
				_, err := tx.Find(test.leased.String(), test.leased.Kind())
				return err
			}))
		})
	}
}

func TestCollectDropsExpiredLeases(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, leaseSpec(model.LayerID("alone")))
	addLease(t, s, graph.LeaseSpec{ID: "longer", Objects: []model.ID{model.ImageID("image")}, For: 48 * time.Hour})
	c := collect(t, s, graph.GCOptions{})
	if len(c.Expired) > 0 || len(c.Leased) > 0 {
		t.Errorf("got %+v", c)
	}
	// By the clock of the collection the lease has expired, so it does not
	// protect either.
	c = collect(t, s, unused(graph.UnusedPolicy{}))
	if !slices.Equal(c.Expired, []string{"lease"}) || !slices.Equal(collectedIDs(c.Layers), []string{"alone"}) {
		t.Errorf("got %+v", c)
	}
	wantLeases(t, s, "longer")
}

// What a lease that cannot be read is about is not known, so nothing is deleted
// until it has been removed.
func TestDamagedLeaseKeepsEverything(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, leaseSpec(model.ImageID("image")))
	dbtest.PutRun(t, filepath.Join(p.run, db.RunFileName), s.Info().UUID, "leases", "lease", []byte("garbage"))
	err := s.DeleteLayer(t.Context(), "alone")
	wantError(t, err, model.ErrCorrupt)
	if !strings.Contains(err.Error(), "leases/lease") {
		t.Errorf("error %q does not name the lease", err)
	}
	_, err = p.open(t, func(o *graph.Options) { o.ReadOnly = true }).Leases(t.Context())
	wantError(t, err, model.ErrCorrupt)
	_, err = s.AddLease(t.Context(), leaseSpec(model.LayerID("alone")))
	wantError(t, err, model.ErrLeaseExists)
	addLease(t, s, graph.LeaseSpec{ID: "other", Objects: []model.ID{model.LayerID("alone")}})
	noError(t, errors.Join(s.RemoveLease(t.Context(), "lease"), s.RemoveLease(t.Context(), "other")))
	noError(t, s.DeleteLayer(t.Context(), "alone"))
}
