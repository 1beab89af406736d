package graph_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// reads makes the place of another store beside the one of the test, and has p
// use it as an additional store.
func (p *place) reads(t *testing.T, name string, fill func(s *graph.Store)) (root string) {
	t.Helper()
	root = filepath.Join(filepath.Dir(p.root), name)
	other := &place{driver: p.driver, root: root, run: filepath.Join(filepath.Dir(p.root), name+"-run")}
	s, err := graph.Open(t.Context(), other.options(t))
	noError(t, err)
	fill(s)
	noError(t, s.Close())
	before := testutil.Snapshot(t, root)
	t.Cleanup(func() {
		if diff := cmp.Diff(before, testutil.Snapshot(t, root)); diff != "" && !t.Skipped() {
			t.Errorf("the additional store has been changed:\n%s", diff)
		}
	})
	with := p.with
	p.with = func(o *graph.Options) {
		if with != nil {
			with(o)
		}
		o.AdditionalStores = append(o.AdditionalStores, root)
	}
	return root
}

// fillAdditional makes layers "low" and "high", an image "image" with two data items
// and a container.
func fillAdditional(t *testing.T) func(s *graph.Store) {
	return func(s *graph.Store) {
		importLayer(t, s, "low", "", file("a", "low"), file("b", "low"))
		importLayer(t, s, "high", "low", file("b", "high"), folder("dir"), file("dir/c", "high"))
		createImage(t, s, "image", "high", "name", "second")
		noError(t, s.SetData(t.Context(), model.ImageID("image"), "manifest", strings.NewReader("manifest")))
		noError(t, s.SetData(t.Context(), model.ImageID("image"), "config", strings.NewReader("config")))
		createContainer(t, s, "theirs", "image")
	}
}

func TestLayersAndContainersOnTopOfAnAdditionalStore(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.reads(t, "more", fillAdditional(t))
		s := p.open(t)
		ctx := t.Context()
		own := importLayer(t, s, "own", "high", file("d", "own"), file("b", "own"))
		if own.Parent != "high" {
			t.Errorf("parent is %q", own.Parent)
		}
		createImage(t, s, "mine", "own", "mine")
		c := createContainer(t, s, "c", "mine")
		direct := createContainer(t, s, "direct", "image")
		onMount(t, s, "c", func(path string) {
			for name, want := range map[string]string{"a": "low", "b": "own", "d": "own", "dir/c": "high"} {
				if got := readFile(t, filepath.Join(path, name)); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			noError(t, os.RemoveAll(filepath.Join(path, "dir")))
			writeFile(t, filepath.Join(path, "a"), "written")
		})
		onMount(t, s, "direct", func(path string) { noError(t, os.Remove(filepath.Join(path, "b"))) })
		changes := must(s.Changes(ctx, c.Layer, ""))(t)
		if got := lines(changes); !slices.Equal(got, []string{"Delete /dir", "Modify /a"}) {
			t.Errorf("changes are %q", got)
		}
		if got := lines(must(s.Changes(ctx, direct.Layer, "high"))(t)); !slices.Equal(got, []string{"Delete /b"}) {
			t.Errorf("changes are %q", got)
		}
		if got := sha256Of(plainDiff(t, s, "own")); got != own.Diff.Digest {
			t.Error("the diff is another one")
		}
		if got := sha256Of(plainDiff(t, s, "high")); got != must(s.Layer(ctx, "high"))(t).Diff.Digest {
			t.Error("the diff of the additional store's layer is another one")
		}
		noError(t, s.DeleteContainer(ctx, "c"))
		if layers := must(s.DeleteImage(ctx, "mine"))(t); !slices.Equal(layers, []model.LayerID{"own"}) {
			t.Errorf("deleted %q", layers)
		}
	})
}

// lines returns changes as sorted lines.
func lines(changes []model.Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.Kind.String()+" "+c.Path)
	}
	slices.Sort(all)
	return all
}

func TestEmptyLayersOfAnAdditionalStoreCanBeParents(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.reads(t, "more", func(s *graph.Store) {
			for _, l := range []graph.LayerSpec{{ID: "nothing"}, {ID: "on-nothing", Parent: "nothing"}} {
				must(s.CreateLayer(t.Context(), l))(t)
			}
			importLayer(t, s, "full", "on-nothing", file("a", "1"))
			must(s.CreateLayer(t.Context(), graph.LayerSpec{ID: "empty", Parent: "full"}))(t)
			createImage(t, s, "image", "empty", "image")
			createImage(t, s, "void", "on-nothing", "void")
		})
		s := p.open(t)
		for image, files := range map[string][]string{"image": {"a", "new"}, "void": {"new"}} {
			c := createContainer(t, s, "", must(s.Image(t.Context(), image))(t).ID)
			onMount(t, s, string(c.ID), func(path string) {
				writeFile(t, filepath.Join(path, "new"), "2")
				if got := names(t, path); !slices.Equal(got, files) {
					t.Errorf("%s: there are %q", image, got)
				}
			})
			if got := lines(must(s.Changes(t.Context(), c.Layer, ""))(t)); !slices.Equal(got, []string{"Add /new"}) {
				t.Errorf("%s: changes are %q", image, got)
			}
		}
		path := must(s.MountImage(t.Context(), "image", graph.MountOptions{}))(t)
		if readFile(t, filepath.Join(path, "a")) != "1" {
			t.Error("the image shows something else")
		}
		must(s.UnmountImage(t.Context(), "image", false))(t)
	})
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, e := range must(os.ReadDir(dir))(t) {
		all = append(all, e.Name())
	}
	return all
}

func TestAdditionalStoresAreSearchedInOrder(t *testing.T) {
	p := newPlace(t, "vfs")
	for _, name := range []string{"first", "other"} {
		p.reads(t, name, func(s *graph.Store) {
			ctx := t.Context()
			must(s.CreateLayer(ctx, graph.LayerSpec{ID: "same", Names: []string{"of"}, Metadata: name}))(t)
			must(s.CreateLayer(ctx, graph.LayerSpec{ID: model.LayerID("only-" + name)}))(t)
			createImage(t, s, "image", "same", "image")
			createImage(t, s, model.ImageID("image-"+name), "", "shared")
		})
	}
	s := p.open(t)
	ctx := t.Context()
	must(s.CreateLayer(ctx, graph.LayerSpec{ID: "mine", Names: []string{"of"}}))(t) // their names are no obstacle
	if l := must(s.Layer(ctx, "of"))(t); l.ID != "mine" || l.ReadOnly {
		t.Errorf("the name means %+v", l)
	}
	if l := must(s.Layer(ctx, "same"))(t); l.Metadata != "first" || !l.ReadOnly {
		t.Errorf("the ID means %+v", l)
	}
	if l := must(s.Layer(ctx, "only-o"))(t); l.ID != "only-other" {
		t.Errorf("the beginning means %+v", l)
	}
	if i := must(s.Image(ctx, "shared"))(t); i.ID != "image-first" || !i.ReadOnly {
		t.Errorf("the name means %+v", i)
	}
	if _, err := s.Container(ctx, "theirs"); err == nil {
		t.Error("containers of additional stores can be seen")
	}
	var layers, images []string
	noError(t, s.View(ctx, func(tx *graph.ReadTx) error {
		for _, l := range must(tx.Layers())(t) {
			layers = append(layers, string(l.ID))
		}
		for _, i := range must(tx.Images())(t) {
			images = append(images, string(i.ID))
		}
		return nil
	}))
	if want := []string{"mine", "same", "only-first", "same", "only-other"}; !slices.Equal(layers, want) {
		t.Errorf("layers are %q", layers)
	}
	if want := []string{"image", "image-first", "image-other"}; !slices.Equal(images, want) {
		t.Errorf("images are %q", images)
	}
}

func TestNothingInAnAdditionalStoreCanBeChanged(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.reads(t, "more", fillAdditional(t))
		s := p.open(t)
		ctx := t.Context()
		image, layer := model.ImageID("image"), model.LayerID("high")
		readOnly := map[string]func() error{
			"SetData":     func() error { return s.SetData(ctx, image, "new", strings.NewReader("x")) },
			"layer data":  func() error { return s.SetData(ctx, layer, "new", strings.NewReader("x")) },
			"SetMetadata": func() error { return s.SetMetadata(ctx, image, "x") },
			"layer names": func() error { _, err := s.AddNames(ctx, layer, "x"); return err },
			"ApplyDiff":   func() error { _, err := s.ApplyDiff(ctx, layer, strings.NewReader("")); return err },
			"Mount":       func() error { _, err := s.Mount(ctx, "high", graph.MountOptions{}); return err },
			"Dir":         func() error { _, err := s.Dir(ctx, image); return err },
			"Delete":      func() error { return s.Delete(ctx, layer) },
			"Tx.SetNames": func() error {
				return s.Update(ctx, func(tx *graph.Tx) error { _, err := tx.SetNames(image, "x"); return err })
			},
			"Tx.DeleteData": func() error {
				return s.Update(ctx, func(tx *graph.Tx) error { return tx.DeleteData(image, "config") })
			},
		}
		for name, call := range readOnly {
			t.Run(name, func(t *testing.T) { wantError(t, call(), model.ErrStoreIsReadOnly) })
		}
		_, err := s.DeleteImage(ctx, image)
		wantError(t, err, model.ErrNotAnImage)
		wantError(t, s.DeleteLayer(ctx, layer), model.ErrNotALayer)
		wantError(t, s.DeleteContainer(ctx, "theirs"), model.ErrNotAContainer)
		_, err = s.CreateLayer(ctx, graph.LayerSpec{ID: "low"})
		wantError(t, err, model.ErrDuplicateID)
		_, err = s.ImportLayer(ctx, graph.LayerSpec{ID: "low"}, strings.NewReader(string(tarball(t, file("a", "x")))))
		wantError(t, err, model.ErrDuplicateID)
		_, err = s.CreateContainer(ctx, graph.ContainerSpec{Layer: "low"})
		wantError(t, err, model.ErrDuplicateID)
		noError(t, s.Wipe(ctx))
		must(s.Recover(ctx))(t)
		must(s.Collect(ctx, graph.GCOptions{Unused: &graph.UnusedPolicy{}}))(t)
		if i := must(s.Image(ctx, "name"))(t); !i.ReadOnly {
			t.Error("the image is not theirs any more")
		}
	})
}

func TestImageOfAnAdditionalStoreIsCopiedToBeRenamed(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.reads(t, "more", fillAdditional(t))
		s := p.open(t)
		ctx := t.Context()
		id := model.ImageID("image")
		original := must(s.Image(ctx, "image"))(t)
		manifest := digest.FromString("manifest")
		if got := must(s.AddNames(ctx, id, "mine"))(t); !slices.Equal(got, []string{"mine", "name", "second"}) {
			t.Errorf("names are %q", got)
		}
		must(s.RemoveNames(ctx, id, "second"))(t)
		copied := must(s.Image(ctx, "mine"))(t)
		if copied.ReadOnly || copied.TopLayer != "high" || !copied.Created.Equal(original.Created) {
			t.Errorf("the copy is %+v", copied)
		}
		if _, err := s.Image(ctx, "second"); err == nil {
			t.Error("the image can be found by a name that was taken away from it")
		}
		noError(t, s.View(ctx, func(tx *graph.ReadTx) error {
			if all := must(tx.Images())(t); len(all) != 1 || all[0].ReadOnly {
				t.Errorf("there are %d images", len(all))
			}
			if all := must(tx.ImagesByDigest(manifest))(t); len(all) != 1 || all[0].ReadOnly {
				t.Errorf("%d images can be found by the digest", len(all))
			}
			if all := must(tx.ImagesByTopLayer("high"))(t); len(all) != 1 {
				t.Errorf("the layer belongs to %d images", len(all))
			}
			return nil
		}))
		for key, want := range map[string]string{"manifest": "manifest", "config": "config"} {
			if got := data(t, s, id, key); got != want {
				t.Errorf("%s is %q", key, got)
			}
		}
		noError(t, s.SetData(ctx, id, "config", strings.NewReader("changed")))
		importLayer(t, s, "on-top", "high", file("x", "1"))
		if layers := must(s.DeleteImage(ctx, id))(t); len(layers) != 0 {
			t.Errorf("layers %q were deleted with the copy", layers)
		}
		if again := must(s.Image(ctx, "second"))(t); !again.ReadOnly || data(t, s, id, "config") != "config" {
			t.Errorf("the original is %+v", again)
		}
	})
}

func TestImageMadeInPlaceOfOneInAnAdditionalStore(t *testing.T) {
	p := newPlace(t, "vfs")
	p.reads(t, "more", func(s *graph.Store) {
		importLayer(t, s, "layer", "", file("a", "1"))
		must(s.CreateImage(t.Context(), graph.ImageSpec{
			ID: "image", TopLayer: "layer", Names: []string{"theirs", "taken"}, Metadata: "meta", Flags: map[string]any{"a": "theirs", "b": "theirs"},
		}))(t)
		noError(t, s.SetData(t.Context(), model.ImageID("image"), "key", strings.NewReader("value")))
	})
	s := p.open(t)
	createImage(t, s, "other", "", "taken")
	got := must(s.CreateImage(t.Context(), graph.ImageSpec{ID: "image", Names: []string{"mine"}, Flags: map[string]any{"b": "mine"}}))(t)
	if got.TopLayer != "layer" || got.Metadata != "meta" || !slices.Equal(got.Names, []string{"mine", "theirs"}) {
		t.Errorf("the image is %+v", got)
	}
	if diff := cmp.Diff(map[string]any{"a": "theirs", "b": "mine"}, got.Flags); diff != "" {
		t.Errorf("flags: %s", diff)
	}
	if data(t, s, got.ID, "key") != "value" {
		t.Error("it has not the data item of the original")
	}
	_, err := s.CreateImage(t.Context(), graph.ImageSpec{ID: "image"})
	wantError(t, err, model.ErrDuplicateID)
}

func TestImageOfAnAdditionalStoreIsMountedReadOnly(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.reads(t, "more", fillAdditional(t))
		s := p.open(t)
		ctx := t.Context()
		path := must(s.MountImage(ctx, "name", graph.MountOptions{}))(t)
		if again := must(s.MountImage(ctx, "name", graph.MountOptions{}))(t); again != path {
			t.Errorf("it is at %s and %s", path, again)
		}
		if readFile(t, filepath.Join(path, "b")) != "high" {
			t.Error("the mount shows something else")
		}
		if mounts := must(s.Mounts(ctx))(t); len(mounts) != 1 || mounts[0].Layer != "high" || mounts[0].Count != 2 {
			t.Errorf("mounts are %+v", mounts)
		}
		if still := must(s.UnmountImage(ctx, "name", false))(t); !still {
			t.Error("it was mounted twice")
		}
		must(s.Shutdown(ctx, true))(t)
		if mounts := must(s.Mounts(ctx))(t); len(mounts) > 0 {
			t.Errorf("mounts are %+v", mounts)
		}
	})
}

func TestDirectoriesThatAreNoAdditionalStores(t *testing.T) {
	p := newPlace(t, "vfs")
	dir := t.TempDir()
	_, err := graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.AdditionalStores = []string{filepath.Join(dir, "none")} }))
	wantError(t, err, model.ErrInvalid, os.ErrNotExist)
	writeFile(t, filepath.Join(dir, "file"), "")
	_, err = graph.Open(t.Context(), p.options(t, func(o *graph.Options) {
		o.DriverOptions = []string{".imagestore=" + filepath.Join(dir, "file")}
	}))
	wantError(t, err, model.ErrInvalid)
	_, err = graph.Open(t.Context(), p.options(t, func(o *graph.Options) { o.DriverOptions = []string{"vfs.imagestore=relative"} }))
	wantError(t, err, model.ErrInvalid)
	quiet, hook := logtest.NewNullLogger()
	s := p.open(t, func(o *graph.Options) { o.AdditionalStores, o.Log = []string{dir}, quiet })
	createImage(t, s, "image", "", "image")
	if len(hook.AllEntries()) != 1 {
		t.Errorf("%d warnings", len(hook.AllEntries()))
	}
	if _, err := os.Lstat(filepath.Join(dir, db.FileName)); err == nil {
		t.Error("a store has been made in it")
	}
}

func TestAdditionalStoreOnAMediumThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, medium := range testutil.Media() {
		for _, driver := range []string{"vfs", "overlay"} {
			t.Run(medium+"/"+driver, func(t *testing.T) {
				t.Parallel()
				run := t.TempDir()
				root := testutil.ReadOnly(t, medium, func(dir string) {
					other := &place{driver: driver, root: dir, run: run}
					s, err := graph.Open(t.Context(), other.options(t))
					noError(t, err)
					fillAdditional(t)(s)
					noError(t, s.Close())
				})
				p := findPlace(t, driver) // which is examined before the medium goes
				p.with = func(o *graph.Options) { o.AdditionalStores = []string{root} }
				s := p.open(t)
				importLayer(t, s, "own", "high", file("new", "1"))
				must(s.AddNames(t.Context(), model.ImageID("image"), "mine"))(t)
				createContainer(t, s, "c", "image")
				onMount(t, s, "c", func(path string) { writeFile(t, filepath.Join(path, "a"), "written") })
				onMount(t, s, "own", func(path string) {
					if readFile(t, filepath.Join(path, "dir/c")) != "high" {
						t.Error("the layer shows something else")
					}
				})
				noError(t, s.DeleteContainer(t.Context(), "c"))
			})
		}
	}
}
