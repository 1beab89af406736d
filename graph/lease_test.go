package graph_test

import (
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// clock is one that can be put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time                 { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration)        { c.ahead.Add(int64(d)) }
func (c *clock) setTo(o *graph.Options)         { o.Now = c.now }
func leaseSpec(ids ...model.ID) graph.LeaseSpec { return graph.LeaseSpec{ID: "lease", Objects: ids} }

func addLease(t testing.TB, s *graph.Store, spec graph.LeaseSpec) *graph.Lease {
	t.Helper()
	return must(s.AddLease(t.Context(), spec))(t)
}

// leaseIDs returns the IDs of all leases.
func leaseIDs(t testing.TB, s *graph.Store) (ids []string) {
	t.Helper()
	for _, l := range must(s.Leases(t.Context()))(t) {
		ids = append(ids, l.ID)
	}
	return ids
}

func wantLeases(t testing.TB, s *graph.Store, want ...string) {
	t.Helper()
	if got := leaseIDs(t, s); !slices.Equal(got, want) {
		t.Errorf("leases are %q, want %q", got, want)
	}
}

// leasable makes a layer "base", a layer "top" on it that the image "image" has,
// and a layer "alone".
func leasable(t testing.TB, p *place, change ...func(*graph.Options)) *graph.Store {
	t.Helper()
	s := p.open(t, change...)
	createLayer(t, s, "base", "")
	createLayer(t, s, "top", "base")
	createLayer(t, s, "alone", "")
	createImage(t, s, "image", "top")
	return s
}

func TestLeaseIsAsItWasAskedFor(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	createContainer(t, s, "c", "image")
	before := time.Now().Add(-time.Second)
	spec := graph.LeaseSpec{
		ID: "pull-1", Objects: []model.ID{model.ImageID("image"), model.LayerID("alone"), model.ContainerID("c"), model.ImageID("image")},
		Reason: "for the nightly büild", For: time.Hour,
	}
	got := addLease(t, s, spec)
	want := &graph.Lease{
		ID: "pull-1", Reason: spec.Reason,
		Objects: []db.LeasedObject{{Kind: model.KindImage, ID: "image"}, {Kind: model.KindLayer, ID: "alone"}, {Kind: model.KindContainer, ID: "c"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(graph.Lease{}, "PID", "Command", "Since", "Expires")); diff != "" {
		t.Error(diff)
	}
	if got.PID == 0 || got.Command == "" || got.Since.Before(before) || got.Since.After(time.Now()) || !got.Expires.Equal(got.Since.Add(time.Hour)) {
		t.Errorf("got %+v", got)
	}
	// Others see the same, also those who only read.
	for _, other := range []*graph.Store{s, p.open(t), p.open(t, func(o *graph.Options) { o.ReadOnly = true })} {
		if diff := cmp.Diff([]graph.Lease{*got}, must(other.Leases(t.Context()))(t)); diff != "" {
			t.Error(diff)
		}
	}
	generated := addLease(t, s, graph.LeaseSpec{Objects: spec.Objects})
	if err := model.ValidateLeaseID(generated.ID); err != nil || generated.Expires.Sub(generated.Since) != graph.DefaultLease {
		t.Errorf("got %+v: %v", generated, err)
	}
}

func TestLeaseThatMakesNoSenseIsRefused(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, graph.LeaseSpec{ID: "taken", Objects: []model.ID{model.LayerID("alone")}})
	alone := []model.ID{model.LayerID("alone")}
	many := make([]model.ID, graph.MaxLeaseObjects+1)
	for i := range many {
		many[i] = model.LayerID("alone")
	}
	for name, test := range map[string]struct {
		spec graph.LeaseSpec
		want error
	}{
		"ID like a path":    {graph.LeaseSpec{ID: "../x", Objects: alone}, model.ErrInvalid},
		"ID with a control": {graph.LeaseSpec{ID: "a\x1b[m", Objects: alone}, model.ErrInvalid},
		"ID taken":          {graph.LeaseSpec{ID: "taken", Objects: alone}, model.ErrLeaseExists},
		"nothing":           {graph.LeaseSpec{}, model.ErrInvalid},
		"too many":          {graph.LeaseSpec{Objects: many}, model.ErrInvalid},
		"negative":          {graph.LeaseSpec{Objects: alone, For: -1}, model.ErrInvalid},
		"too long":          {graph.LeaseSpec{Objects: alone, For: graph.MaxLease + 1}, model.ErrInvalid},
		"long reason":       {graph.LeaseSpec{Objects: alone, Reason: strings.Repeat("x", graph.MaxLeaseReason+1)}, model.ErrInvalid},
		"reason of lines":   {graph.LeaseSpec{Objects: alone, Reason: "a\nb"}, model.ErrInvalid},
		"reason of bytes":   {graph.LeaseSpec{Objects: alone, Reason: "a\xff"}, model.ErrInvalid},
		"unknown layer":     {graph.LeaseSpec{Objects: []model.ID{model.LayerID("alone"), model.LayerID("image")}}, model.ErrLayerUnknown},
		"unknown image":     {graph.LeaseSpec{Objects: []model.ID{model.ImageID("alone")}}, model.ErrImageUnknown},
		"unknown container": {graph.LeaseSpec{Objects: []model.ID{model.ContainerID("alone")}}, model.ErrContainerUnknown},
	} {
		lease, err := s.AddLease(t.Context(), test.spec)
		if wantError(t, err, test.want); lease != nil || t.Failed() {
			t.Errorf("%s: %+v", name, lease)
		}
	}
	wantLeases(t, s, "taken")
	addLease(t, s, graph.LeaseSpec{ID: "longest", Objects: alone, For: graph.MaxLease, Reason: strings.Repeat("x", graph.MaxLeaseReason)})
}

func TestLeasesCannotBeChangedReadOnly(t *testing.T) {
	p := newPlace(t, "vfs")
	leasable(t, p)
	reader := p.open(t, func(o *graph.Options) { o.ReadOnly = true })
	_, errAdd := reader.AddLease(t.Context(), leaseSpec(model.LayerID("alone")))
	_, errExtend := reader.ExtendLease(t.Context(), "lease", time.Hour)
	for _, err := range []error{errAdd, errExtend, reader.RemoveLease(t.Context(), "lease")} {
		wantError(t, err, model.ErrStoreIsReadOnly)
	}
	for _, run := range []string{"", filepath.Join(p.run, "nothing")} {
		reader := p.open(t, func(o *graph.Options) { o.ReadOnly, o.RunRoot = true, run })
		wantLeases(t, reader)
	}
}

func TestLeaseIsRemovedOnce(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, leaseSpec(model.LayerID("alone")))
	noError(t, s.RemoveLease(t.Context(), "lease"))
	wantError(t, s.RemoveLease(t.Context(), "lease"), model.ErrLeaseUnknown, model.ErrNotFound)
	wantLeases(t, s)
	noError(t, s.DeleteLayer(t.Context(), "alone"))
}

func TestLeaseIsExtendedWhileItLasts(t *testing.T) {
	p := newPlace(t, "vfs")
	var c clock
	s := leasable(t, p, c.setTo)
	first := addLease(t, s, leaseSpec(model.LayerID("alone")))
	c.forward(graph.DefaultLease - time.Hour)
	second := must(s.ExtendLease(t.Context(), "lease", 2*time.Hour))(t)
	if diff := cmp.Diff(first, second, cmpopts.IgnoreFields(graph.Lease{}, "Expires")); diff != "" {
		t.Error(diff)
	}
	c.forward(time.Hour + time.Minute)
	wantError(t, s.DeleteLayer(t.Context(), "alone"), model.ErrLeased)
	shorter := must(s.ExtendLease(t.Context(), "lease", time.Minute))(t)
	if !shorter.Expires.Before(second.Expires) {
		t.Errorf("%v is not before %v", shorter.Expires, second.Expires)
	}
	for _, length := range []time.Duration{-1, graph.MaxLease + 1} {
		_, err := s.ExtendLease(t.Context(), "lease", length)
		wantError(t, err, model.ErrInvalid)
	}
	c.forward(time.Minute)
	for _, id := range []string{"lease", "other", ""} {
		_, err := s.ExtendLease(t.Context(), id, time.Hour)
		wantError(t, err, model.ErrLeaseUnknown)
	}
	noError(t, s.DeleteLayer(t.Context(), "alone"))
}

func TestExpiredLeaseCountsForNothing(t *testing.T) {
	p := newPlace(t, "vfs")
	var c clock
	s := leasable(t, p, c.setTo)
	addLease(t, s, leaseSpec(model.LayerID("alone"), model.ImageID("image")))
	c.forward(graph.DefaultLease - time.Minute)
	wantError(t, s.DeleteLayer(t.Context(), "alone"), model.ErrLeased)
	c.forward(time.Minute)
	wantLeases(t, s, "lease") // until somebody clears it away
	noError(t, s.DeleteLayer(t.Context(), "alone"))
	must(s.DeleteImage(t.Context(), "image"))(t)
	// Its ID is free again at once.
	createLayer(t, s, "new", "")
	addLease(t, s, leaseSpec(model.LayerID("new")))
	addLease(t, s, graph.LeaseSpec{ID: "short", Objects: []model.ID{model.LayerID("new")}, For: time.Minute})
	wantLeases(t, s, "lease", "short")
	c.forward(time.Minute)
	noError(t, s.RemoveLease(t.Context(), "lease"))
	wantLeases(t, s)
}

func TestLeaseEndsWithTheRunRoot(t *testing.T) {
	p := newPlace(t, "vfs")
	s := leasable(t, p)
	addLease(t, s, leaseSpec(model.LayerID("alone")))
	noError(t, s.Close())
	p.run = filepath.Join(filepath.Dir(p.run), "run-of-another-boot")
	s = p.open(t)
	wantLeases(t, s)
	noError(t, s.DeleteLayer(t.Context(), "alone"))
}
