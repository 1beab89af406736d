package graph_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// split makes the place one of a store with an image store, and returns the place
// of that, which is examined too.
func (p *place) split(t *testing.T, name string) *place {
	t.Helper()
	images := &place{driver: p.driver, root: filepath.Join(filepath.Dir(p.root), name), run: filepath.Join(filepath.Dir(p.root), name+"-run")}
	graphRoot := p.root
	images.with = func(o *graph.Options) { o.AdditionalStores = []string{graphRoot} } // it may have layers on top of those
	t.Cleanup(func() {
		if !t.Skipped() {
			images.examine(t)
		}
	})
	p.with = func(o *graph.Options) { o.ImageStore = images.root }
	return images
}

func TestImagesAndTheirLayersAreInTheImageStore(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		images := p.split(t, "images")
		s := p.open(t)
		ctx := t.Context()
		base := importLayer(t, s, "base", "", file("a", "1"))
		importLayer(t, s, "top", "base", file("b", "2"))
		createImage(t, s, "image", "top", "name")
		noError(t, s.SetData(ctx, model.ImageID("image"), "manifest", strings.NewReader("manifest")))
		noError(t, s.SetData(ctx, model.LayerID("top"), "note", strings.NewReader("note")))
		c := createContainer(t, s, "c", "image")
		onMount(t, s, "c", func(path string) {
			writeFile(t, filepath.Join(path, "c"), "3")
			if readFile(t, filepath.Join(path, "a"))+readFile(t, filepath.Join(path, "b")) != "12" {
				t.Error("the container shows something else")
			}
		})
		if got := lines(must(s.Changes(ctx, c.Layer, ""))(t)); !slices.Equal(got, []string{"Add /c"}) {
			t.Errorf("changes are %q", got)
		}
		if sha256Of(plainDiff(t, s, "base")) != base.Diff.Digest {
			t.Error("the diff is another one")
		}
		if path := must(s.Dir(ctx, model.ImageID("image")))(t); !strings.HasPrefix(path, images.root+"/") {
			t.Errorf("the directory of the image is %s", path)
		}
		noError(t, s.Close())

		alone := images.open(t, func(o *graph.Options) { o.AdditionalStores = nil })
		if got := must(alone.Image(ctx, "name"))(t); got.TopLayer != "top" || data(t, alone, got.ID, "manifest") != "manifest" {
			t.Errorf("the image store has %+v", got)
		}
		if data(t, alone, model.LayerID("top"), "note") != "note" {
			t.Error("the image store has not the layer's data item")
		}
		onMount(t, alone, "top", func(path string) {
			if readFile(t, filepath.Join(path, "a"))+readFile(t, filepath.Join(path, "b")) != "12" {
				t.Error("the layer shows something else")
			}
		})
		if got := containerIDs(t, alone); len(got) > 0 {
			t.Errorf("there are containers %q", got)
		}
		if p.driver == "vfs" { // which nobody would choose
			fresh := &place{root: p.root + "-new", run: p.run, with: p.with}
			if got := fresh.open(t).DriverName(); got != "vfs" {
				t.Errorf("a new store with the image store has driver %s", got)
			}
		}
		without := &place{driver: p.driver, root: p.root, run: p.run}
		graphRoot := without.open(t)
		if _, err := graphRoot.Image(ctx, "name"); err == nil {
			t.Error("the image can be seen without the image store")
		}
		noError(t, graphRoot.Close())
		s = p.open(t)
		noError(t, s.DeleteContainer(ctx, "c"))
		if got := must(s.DeleteImage(ctx, "image"))(t); !slices.Equal(got, []model.LayerID{"top", "base"}) {
			t.Errorf("deleted %q", got)
		}
	})
}

func TestImagesOfTheGraphRootStayWhenAnImageStoreIsAdded(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	ctx := t.Context()
	importLayer(t, s, "old", "", file("a", "1"))
	createImage(t, s, "old", "old", "old")
	noError(t, s.Close())
	p.split(t, "images")
	s = p.open(t)
	importLayer(t, s, "new", "old", file("b", "2")) // on top of a layer in the graph root
	createImage(t, s, "new", "new", "new")
	must(s.AddNames(ctx, model.ImageID("new"), "old"))(t)
	if got := must(s.Image(ctx, "old"))(t); got.ID != "new" { // the image store comes first
		t.Errorf("the name means %s", got.ID)
	}
	noError(t, s.View(ctx, func(tx *graph.ReadTx) error {
		if got := must(tx.Images())(t); len(got) != 2 || got[0].ID != "new" || len(got[1].Names) > 0 {
			t.Errorf("images are %+v", got)
		}
		return nil
	}))
	if got := must(s.DeleteImage(ctx, "old"))(t); len(got) > 0 {
		t.Errorf("deleted %q, which the other image needs", got)
	}
	if got := must(s.DeleteImage(ctx, "new"))(t); !slices.Equal(got, []model.LayerID{"new", "old"}) {
		t.Errorf("deleted %q", got)
	}
}

func TestImageOnALayerThatIsWrittenTo(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.split(t, "images")
		s := p.open(t)
		ctx := t.Context()
		must(s.CreateLayer(ctx, graph.LayerSpec{ID: "mine", Writable: true}))(t)
		onMount(t, s, "mine", func(path string) { writeFile(t, filepath.Join(path, "a"), "1") })
		createImage(t, s, "image", "mine", "image")
		createContainer(t, s, "c", "image")
		onMount(t, s, "c", func(path string) {
			if readFile(t, filepath.Join(path, "a")) != "1" {
				t.Error("the container shows something else")
			}
		})
		wantError(t, s.DeleteLayer(ctx, "mine"), model.ErrLayerHasChildren)
		noError(t, s.DeleteContainer(ctx, "c"))
		wantError(t, s.DeleteLayer(ctx, "mine"), model.ErrLayerUsedByImage)
		if _, err := os.Lstat(filepath.Join(p.root, p.driver)); err != nil {
			t.Error(err)
		}
		must(s.DeleteImage(ctx, "image"))(t)
	})
}

func TestGraphRootsThatShareAnImageStoreLeaveEachOtherWhatTheyNeed(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		images := p.split(t, "images")
		ctx := t.Context()
		second := placeIn(t, p.driver, filepath.Join(filepath.Dir(p.root), "second"))
		second.with = p.with
		a, b := p.open(t), second.open(t)
		importLayer(t, a, "base", "", file("a", "1"))
		importLayer(t, a, "top", "base", file("b", "2"))
		createImage(t, a, "image", "top", "image")
		must(b.CreateContainer(ctx, graph.ContainerSpec{ID: "c", Image: "image"}))(t)
		must(b.CreateContainer(ctx, graph.ContainerSpec{ID: "v", Image: "image", Volatile: true}))(t)
		must(b.CreateLayer(ctx, graph.LayerSpec{ID: "own", Parent: "base", Writable: true}))(t)
		_, err := a.DeleteImage(ctx, "image")
		wantError(t, err, model.ErrHeld)
		if !strings.Contains(err.Error(), second.root) {
			t.Errorf("the error does not name who needs it: %v", err)
		}
		alone := images.open(t)
		_, err = alone.DeleteImage(ctx, "image")
		wantError(t, err, model.ErrHeld)
		must(a.Collect(ctx, graph.GCOptions{Unused: &graph.UnusedPolicy{}}))(t)
		noError(t, a.Wipe(ctx))
		onMount(t, b, "c", func(path string) {
			if readFile(t, filepath.Join(path, "a"))+readFile(t, filepath.Join(path, "b")) != "12" {
				t.Error("the container has lost its image")
			}
		})
		noError(t, b.DeleteContainer(ctx, "c"))
		_, err = a.DeleteImage(ctx, "image")
		wantError(t, err, model.ErrHeld)
		noError(t, b.DeleteContainer(ctx, "v"))
		if got := must(a.DeleteImage(ctx, "image"))(t); !slices.Equal(got, []model.LayerID{"top"}) {
			t.Errorf("deleted %q", got)
		}
		wantError(t, a.DeleteLayer(ctx, "base"), model.ErrHeld)
		noError(t, b.DeleteLayer(ctx, "own"))
		noError(t, a.DeleteLayer(ctx, "base"))
	})
}

func TestLeftoversInAnImageStoreAreCollected(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		images := p.split(t, "images")
		s := p.open(t)
		alone := images.open(t)
		must(alone.CreateDriverLayer(t.Context(), graph.LayerSpec{ID: "left"}))(t)
		writeFile(t, filepath.Join(images.root, p.driver+"-images", "file"), "left")
		c := must(s.Collect(t.Context(), graph.GCOptions{DryRun: true}))(t)
		var paths []string
		for _, d := range c.Debris {
			paths = append(paths, d.Path)
		}
		want := []string{filepath.Join(images.root, p.driver+"-images", "file"), filepath.Join(images.root, p.driver, "left")}
		if slices.Sort(paths); !slices.Equal(paths, want) {
			t.Errorf("debris is %q", paths)
		}
		if r := must(s.Recover(t.Context()))(t); len(r.Strays) != 2 {
			t.Errorf("strays were %q", r.Strays)
		}
		if got := must(s.DriverLayers(t.Context()))(t); len(got) > 0 {
			t.Errorf("the driver has %q", got)
		}
	})
}
