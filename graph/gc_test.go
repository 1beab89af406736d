package graph_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// collect collects garbage, tells first what that would be, and compares.
func collect(t testing.TB, s *graph.Store, options graph.GCOptions) *graph.Collected {
	t.Helper()
	options.DryRun = true
	records := recordsOf(t, s)
	would := must(s.Collect(t.Context(), options))(t)
	if diff := cmp.Diff(records, recordsOf(t, s)); diff != "" {
		t.Errorf("a dry run has changed something: %s", diff)
	}
	options.DryRun = false
	did := must(s.Collect(t.Context(), options))(t)
	if diff := cmp.Diff(would, did); diff != "" {
		t.Errorf("what was done is not what was foretold: %s", diff)
	}
	return did
}

// tomorrow is a clock by which everything has been unused for a day.
func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

// unused returns options for deleting what has not been used for some hours,
// tomorrow.
func unused(policy graph.UnusedPolicy) graph.GCOptions {
	policy.For = 20 * time.Hour
	return graph.GCOptions{Unused: &policy, Now: tomorrow}
}

func collectedIDs(objects []graph.CollectedObject) (ids []string) {
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestCollectWithoutPolicyRemovesOnlyWhatHasNoRecord(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("f", "1"))
		createImage(t, s, "unused", "base", "name")
		importLayer(t, s, "orphan", "base", file("f", "2"))
		var want []string
		for file, path := range strays(p) {
			plantFile(t, filepath.Join(p.root, file))
			want = append(want, path)
		}
		slices.Sort(want)
		before := recordsOf(t, s)
		c := collect(t, s, graph.GCOptions{Now: tomorrow})
		var got []string
		for _, d := range c.Debris {
			got = append(got, d.Path)
			if d.Size != int64(len("stray")) || d.Trash {
				t.Errorf("got %+v", d)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if c.Freed != int64(len("stray")*len(want)) || len(c.Images)+len(c.Layers) > 0 {
			t.Errorf("got %+v", c)
		}
		if diff := cmp.Diff(before, recordsOf(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

// What is to be removed is measured before, and told of when it has gone.
func TestCollectTellsHowFarItHasCome(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	manyImages(t, s)
	for file := range strays(p) {
		plantFile(t, filepath.Join(p.root, file))
	}
	type step struct {
		what  string
		total int64
	}
	var steps []step
	removed := int64(0)
	options := unused(graph.UnusedPolicy{})
	options.Progress = func(what string, total int64) func(int64) {
		steps = append(steps, step{what, total})
		if what != "removing" {
			return func(int64) {}
		}
		return func(n int64) { removed += n }
	}
	c := must(s.Collect(t.Context(), options))(t)
	var debris int64
	for _, d := range c.Debris {
		debris += d.Size
	}
	want := []step{{"measuring", -1}, {"removing", c.Freed - debris}, {"measuring", -1}, {"removing", debris}}
	if diff := cmp.Diff(want, steps, cmp.AllowUnexported(step{})); diff != "" || debris == 0 || debris == c.Freed || removed != c.Freed {
		t.Errorf("%d bytes removed, %+v: %s", removed, c, diff)
	}
}

// What somebody is about to commit is not touched.
func TestCollectLeavesWhatIsBeingMade(t *testing.T) {
	p := newPlace(t, "vfs")
	s, other := p.open(t), p.open(t)
	staged := stageLayer(t, other, graph.LayerSpec{ID: "staged"}, file("f", "1"))
	c := collect(t, s, unused(graph.UnusedPolicy{}))
	if len(c.Busy) == 0 || len(c.Debris) > 0 {
		t.Errorf("got %+v", c)
	}
	noError(t, other.Update(t.Context(), func(tx *graph.Tx) error {
		_, err := tx.AddLayer(staged)
		return err
	}))
}

// manyImages makes images: "used" by a container, "mounted", "named" and three
// more, and layers that belong to none of them.
func manyImages(t testing.TB, s *graph.Store) {
	t.Helper()
	importLayer(t, s, "base", "", file("f", strings.Repeat("b", 1000)))
	for _, id := range []string{"first", "used", "mounted", "named", "second", "third"} {
		importLayer(t, s, model.LayerID(id+"-top"), "base", file("f", id))
		createImage(t, s, model.ImageID(id), model.LayerID(id+"-top"), "registry/"+id+":1")
		noError(t, s.SetData(t.Context(), model.ImageID(id), "manifest", strings.NewReader(id)))
	}
	createContainer(t, s, "c", "used")
	must(s.Mount(t.Context(), "mounted-top", graph.MountOptions{}))(t)
	t.Cleanup(func() { must(s.Unmount(afterwards(t), "mounted-top", true))(t) })
	importLayer(t, s, "orphan-mounted", "base", file("f", "orphan"))
	must(s.Mount(t.Context(), "orphan-mounted", graph.MountOptions{}))(t)
	t.Cleanup(func() { must(s.Unmount(afterwards(t), "orphan-mounted", true))(t) })
	importLayer(t, s, "orphan", "base", file("f", "orphan"))
	importLayer(t, s, "orphan-top", "orphan", file("f", "top"))
	must(s.CreateLayer(t.Context(), graph.LayerSpec{ID: "orphan-named", Names: []string{"keep"}, Parent: "base"}))(t)
}

// sizeWithoutLock returns the size of all files of a store but for the lock file,
// which grows with the commits that are noted in it.
func sizeWithoutLock(t testing.TB, p *place) int64 {
	t.Helper()
	info := must(os.Stat(filepath.Join(p.root, db.LockName)))(t)
	return must(archive.TreeSize(t.Context(), p.root))(t) - info.Size()
}

func TestCollectDeletesWhatIsUnused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy graph.UnusedPolicy
		images []string
	}{
		"all":       {graph.UnusedPolicy{}, []string{"first", "named", "second", "third"}},
		"last two":  {graph.UnusedPolicy{KeepLast: 2}, []string{"first", "named"}},
		"last many": {graph.UnusedPolicy{KeepLast: 100}, nil},
		"pinned":    {graph.UnusedPolicy{Keep: []string{"registry/named:1", "third", "registry/f*"}}, []string{"second"}},
		"unknown":   {graph.UnusedPolicy{Keep: []string{"registry/unknown"}}, []string{"first", "named", "second", "third"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "vfs")
			s := p.open(t)
			manyImages(t, s)
			before := sizeWithoutLock(t, p)
			c := collect(t, s, unused(test.policy))
			if diff := cmp.Diff(test.images, collectedIDs(c.Images)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"orphan-top", "orphan"}, collectedIDs(c.Layers)); diff != "" {
				t.Error(diff)
			}
			if freed := before - sizeWithoutLock(t, p); freed != c.Freed {
				t.Errorf("freed %d, and it says %d", freed, c.Freed)
			}
			for _, image := range c.Images {
				if want := []model.LayerID{model.LayerID(image.ID + "-top")}; !slices.Equal(image.Layers, want) {
					t.Errorf("with image %s: %v", image.ID, image.Layers)
				}
			}
		})
	}
}

// Layers that several images share go with the last of them.
func TestCollectTakesSharedLayersAlong(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	importLayer(t, s, "base", "", file("f", "1"))
	importLayer(t, s, "a-top", "base", file("f", "2"))
	importLayer(t, s, "b-top", "base", file("f", "3"))
	importLayer(t, s, "mapped", "base", file("f", "4"))
	createImage(t, s, "a", "a-top")
	createImage(t, s, "b", "b-top")
	addMapped(t, p, "a", "mapped")
	c := collect(t, s, unused(graph.UnusedPolicy{}))
	var layers [][]model.LayerID
	for _, image := range c.Images {
		layers = append(layers, image.Layers)
	}
	if diff := cmp.Diff([][]model.LayerID{{"mapped", "a-top"}, {"b-top", "base"}}, layers); diff != "" {
		t.Error(diff)
	}
	checkEmpty(t, s)
}

func TestCollectKnowsTheLastUse(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	for _, id := range []model.ImageID{"untouched", "renamed", "released"} {
		createImage(t, s, id, "")
	}
	createContainer(t, s, "c", "released")
	createLayer(t, s, "old-layer", "")
	time.Sleep(20 * time.Millisecond) // the journal shall tell them apart
	limit := time.Now()
	createLayer(t, s, "new-layer", "")
	must(s.AddNames(t.Context(), model.ImageID("renamed"), "name"))(t)
	noError(t, s.DeleteContainer(t.Context(), "c"))
	options := graph.GCOptions{Unused: &graph.UnusedPolicy{For: 24 * time.Hour}, Now: func() time.Time { return limit.Add(24 * time.Hour) }}
	c := collect(t, s, options)
	if diff := cmp.Diff([]string{"untouched", "old-layer"}, append(collectedIDs(c.Images), collectedIDs(c.Layers)...)); diff != "" {
		t.Error(diff)
	}
	// The time of an image's creation is what its maker says, and no use.
	must(s.CreateImage(t.Context(), graph.ImageSpec{ID: "old", Created: time.Unix(0, 0)}))(t)
	if c := collect(t, s, options); len(c.Images) > 0 {
		t.Errorf("got %+v", c.Images)
	}
}

// Of a very large transaction the journal does not have everything.
func TestCollectKeepsWhatTheJournalMayHaveOmitted(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	time.Sleep(20 * time.Millisecond)
	limit := time.Now()
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		var errs []error
		for n := range 1001 {
			_, err := tx.CreateLayer(graph.LayerSpec{Names: []string{fmt.Sprint(n)}})
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}))
	must(s.CreateImage(t.Context(), graph.ImageSpec{ID: "later"}))(t)
	c := collect(t, s, graph.GCOptions{Unused: &graph.UnusedPolicy{For: time.Hour}, Now: func() time.Time { return limit.Add(time.Hour) }})
	if len(c.Images) > 0 {
		t.Errorf("got %+v", c.Images)
	}
}

func TestCollectRefusesPoliciesWithoutSense(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	for _, policy := range []graph.UnusedPolicy{{For: -1}, {KeepLast: -1}, {Keep: []string{"[a"}}} {
		_, err := s.Collect(t.Context(), graph.GCOptions{Unused: &policy})
		wantError(t, err, model.ErrInvalid)
	}
	reader := p.open(t, func(o *graph.Options) { o.ReadOnly = true })
	_, err := reader.Collect(t.Context(), graph.GCOptions{DryRun: true})
	wantError(t, err, model.ErrReadOnly)
}

// Whoever makes a container at the same time gets it with its image, or is told
// that there is no image any more.
func TestCollectBesideOthers(t *testing.T) {
	p := newPlace(t, "vfs")
	s, other := p.open(t), p.open(t)
	for round := range 20 {
		image := model.ImageID(fmt.Sprintf("image-%d", round))
		importLayer(t, s, model.LayerID(image), "", file("f", "1"))
		createImage(t, s, image, model.LayerID(image))
		var errCreate, errCollect error
		var both sync.WaitGroup
		both.Go(func() {
			_, errCreate = other.CreateContainer(t.Context(), graph.ContainerSpec{ID: model.ContainerID(image), Image: image, Layer: model.LayerID(image + "-own")})
		})
		both.Go(func() { _, errCollect = s.Collect(t.Context(), graph.GCOptions{Unused: &graph.UnusedPolicy{}}) })
		both.Wait()
		noError(t, errCollect)
		_, errImage := s.Image(t.Context(), string(image))
		if errCreate == nil != (errImage == nil) || errCreate != nil && !errors.Is(errCreate, model.ErrNotFound) {
			t.Errorf("container: %v, image: %v", errCreate, errImage)
		}
	}
}
