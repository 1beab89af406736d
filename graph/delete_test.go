package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func TestLayerThatIsNeededIsNotDeleted(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		importLayer(t, s, "top", "base", file("b", "1"))
		createImage(t, s, "image", "top")
		c := createContainer(t, s, "c", "image")
		ctx := t.Context()
		for _, test := range []struct {
			id    model.LayerID
			want  error
			namer string
		}{
			{"base", model.ErrLayerHasChildren, "top"},
			{c.Layer, model.ErrLayerUsedByContainer, "c"},
			{"unicorn", model.ErrNotALayer, "unicorn"},
		} {
			err := s.DeleteLayer(ctx, test.id)
			wantError(t, err, test.want)
			if !strings.Contains(err.Error(), test.namer) {
				t.Errorf("error %q does not name %s", err, test.namer)
			}
		}
		noError(t, s.DeleteContainer(ctx, "c"))
		wantError(t, s.DeleteLayer(ctx, "top"), model.ErrLayerUsedByImage, model.ErrInUse)
		must(s.DeleteImage(ctx, "image"))(t)
		checkEmpty(t, s)
	})
}

func TestDeletingAMappedTopLayerTellsTheImage(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "top", "")
	createLayer(t, s, "mapped", "")
	createImage(t, s, "image", "top")
	addMapped(t, p, "image", "mapped")
	noError(t, s.DeleteLayer(t.Context(), "mapped"))
	if got := must(s.Image(t.Context(), "image"))(t); len(got.MappedTopLayers) > 0 {
		t.Errorf("image still has %v", got.MappedTopLayers)
	}
}

// addMapped makes layers mapped variants of an image's top layer. No method of
// the store does that yet.
func addMapped(t testing.TB, p *place, id model.ImageID, layers ...model.LayerID) {
	t.Helper()
	database, err := db.Open(t.Context(), p.root, db.Options{})
	noError(t, err)
	defer database.Close()
	noError(t, database.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.UpdateImage(db.OpModify, id, func(i *model.Image) error {
			i.MappedTopLayers = layers
			return nil
		})
		return err
	}))
}

// An image takes along the layers that nothing else needs.
func TestDeleteImageTakesItsOwnLayersAlong(t *testing.T) {
	t.Parallel()
	// The layers are base, middle and top, each on the one before it.
	for name, test := range map[string]struct {
		make func(t *testing.T, p *place, s *graph.Store)
		want []model.LayerID
	}{
		"alone":                  {func(*testing.T, *place, *graph.Store) {}, []model.LayerID{"top", "middle", "base"}},
		"another image on top":   {func(t *testing.T, _ *place, s *graph.Store) { createImage(t, s, "other", "top") }, nil},
		"another image's parent": {func(t *testing.T, _ *place, s *graph.Store) { createImage(t, s, "other", "middle") }, []model.LayerID{"top"}},
		"other child of the top": {func(t *testing.T, _ *place, s *graph.Store) { createLayer(t, s, "x", "top") }, nil},
		"other child below": {
			func(t *testing.T, _ *place, s *graph.Store) { createLayer(t, s, "x", "base") },
			[]model.LayerID{"top", "middle"},
		},
		"container on a layer below": {
			func(t *testing.T, _ *place, s *graph.Store) {
				createImage(t, s, "other", "base")
				createContainer(t, s, "c", "other")
				noError(t, s.Delete(t.Context(), model.ImageID("other")))
			},
			[]model.LayerID{"top", "middle"},
		},
		"mapped": {
			func(t *testing.T, p *place, s *graph.Store) {
				createLayer(t, s, "m1", "middle")
				createLayer(t, s, "m2", "middle")
				addMapped(t, p, "image", "m1", "m2")
			},
			[]model.LayerID{"m1", "m2", "top", "middle", "base"},
		},
		"child of a mapped one": {
			func(t *testing.T, p *place, s *graph.Store) {
				createLayer(t, s, "m1", "middle")
				createLayer(t, s, "m2", "middle")
				addMapped(t, p, "image", "m1", "m2")
				createLayer(t, s, "x", "m2")
			},
			[]model.LayerID{"m1"},
		},
		"mapped one of two images": {
			func(t *testing.T, p *place, s *graph.Store) {
				createLayer(t, s, "m1", "middle")
				createImage(t, s, "other", "top")
				addMapped(t, p, "image", "m1")
				addMapped(t, p, "other", "m1")
			},
			nil,
		},
		"parent that is lost": {
			func(t *testing.T, _ *place, s *graph.Store) {
				noError(t, s.Delete(t.Context(), model.LayerID("middle")))
			},
			[]model.LayerID{"top"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "vfs")
			s := p.open(t)
			createLayer(t, s, "base", "")
			createLayer(t, s, "middle", "base")
			createLayer(t, s, "top", "middle")
			createImage(t, s, "image", "top")
			test.make(t, p, s)
			var planned []model.LayerID
			noError(t, s.View(t.Context(), func(tx *graph.ReadTx) (err error) {
				planned, err = tx.LayersOnlyOf("image")
				return err
			}))
			before := recordsOf(t, s)
			got := must(s.DeleteImage(t.Context(), "image"))(t)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("deleted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(planned, got); diff != "" {
				t.Errorf("planned and deleted differ:\n%s", diff)
			}
			if left := recordsOf(t, s); len(left.Layers) != len(before.Layers)-len(got) {
				t.Errorf("%d layers have become %d", len(before.Layers), len(left.Layers))
			}
		})
	}
}

func TestImageWithContainersIsNotDeleted(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	createContainer(t, s, "c", "image")
	_, err := s.DeleteImage(t.Context(), "image")
	wantError(t, err, model.ErrImageUsedByContainer)
	_, err = s.DeleteImage(t.Context(), "unicorn")
	wantError(t, err, model.ErrNotAnImage)
	wantError(t, s.DeleteContainer(t.Context(), "unicorn"), model.ErrNotAContainer)
}

// Deleting by force asks nobody, and all that stays goes on working.
func TestDeleteByForce(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		ctx := t.Context()
		importLayer(t, s, "base", "", file("a", "1"))
		importLayer(t, s, "top", "base", file("b", "1"))
		createImage(t, s, "image", "top")
		c := createContainer(t, s, "c", "image")
		noError(t, s.Delete(ctx, c.Layer))
		noError(t, s.Delete(ctx, model.ImageID("image")))
		noError(t, s.Delete(ctx, c.ID))
		r := recordsOf(t, s)
		if len(r.Layers) != 2 || len(r.Images)+len(r.Containers) > 0 {
			t.Errorf("left: %+v", r)
		}
		noError(t, s.Delete(ctx, model.LayerID("base")))
		_, err := s.MountImage(ctx, "image", graph.MountOptions{})
		wantError(t, err, model.ErrImageUnknown)
		for _, id := range []model.ID{model.LayerID("base"), model.ImageID("image"), model.ContainerID("c")} {
			wantError(t, s.Delete(ctx, id), model.ErrNotFound)
		}
		noError(t, s.DeleteLayer(ctx, "top"))
	})
}

// A layer that was deleted by force may come back under its ID, but not on top
// of what is on top of it.
func TestLayersFormNoCircle(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "a", "")
	createLayer(t, s, "b", "a")
	createLayer(t, s, "c", "b")
	createImage(t, s, "image", "c")
	noError(t, s.Delete(t.Context(), model.LayerID("a")))
	_, err := s.CreateLayer(t.Context(), graph.LayerSpec{ID: "a", Parent: "c"})
	wantError(t, err, model.ErrInvalid)
	_, err = s.ImportLayer(t.Context(), graph.LayerSpec{ID: "a", Parent: "b"}, bytes.NewReader(tarball(t)))
	wantError(t, err, model.ErrInvalid)
	createLayer(t, s, "a", "")
	onMount(t, s, "c", func(string) {})
}

func TestDeletingAContainerTakesEverythingAlong(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		ctx := t.Context()
		importLayer(t, s, "base", "", file("a", "1"))
		createImage(t, s, "image", "base")
		createContainer(t, s, "c", "image")
		noError(t, s.SetData(ctx, model.ContainerID("c"), "key", strings.NewReader("x")))
		writeFile(t, filepath.Join(must(s.Dir(ctx, model.ContainerID("c")))(t), "f"), "x")
		writeFile(t, filepath.Join(must(s.RunDir(ctx, model.ContainerID("c")))(t), "f"), "x")
		path := must(s.Mount(ctx, "c", graph.MountOptions{}))(t)
		must(s.Mount(ctx, "c", graph.MountOptions{}))(t)
		writeFile(t, filepath.Join(path, "b"), "2")
		noError(t, s.DeleteContainer(ctx, "c"))
		if mounts := must(s.Mounts(ctx))(t); len(mounts) > 0 {
			t.Errorf("still mounted: %+v", mounts)
		}
		for _, root := range []string{p.root, p.run} {
			for _, name := range filesIn(t, root, "") {
				if strings.Contains(name, "containers") {
					t.Errorf("left over: %s", name)
				}
			}
		}
	})
}

func TestWipeLeavesNothing(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		ctx := t.Context()
		importLayer(t, s, "base", "", file("a", "1"))
		createImage(t, s, "image", "base", "name")
		noError(t, s.Update(ctx, func(tx *graph.Tx) error { // more than one transaction deletes
			var errs []error
			for i := range 250 {
				_, err := tx.CreateContainer(graph.ContainerSpec{ID: model.ContainerID(fmt.Sprint(i)), Image: "image"})
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		}))
		must(s.Mount(ctx, "0", graph.MountOptions{}))(t)
		must(s.RunDir(ctx, model.ContainerID("1")))(t)
		stray := filepath.Join(p.root, p.driver+"-images", "stray")
		noError(t, os.MkdirAll(stray, 0o700))
		writeFile(t, filepath.Join(stray, "f"), "x")
		noError(t, s.Wipe(ctx))
		checkEmpty(t, s)
		noError(t, s.Wipe(ctx))
		importLayer(t, s, "base", "", file("a", "1"))
	})
}

// The ID of what has been deleted can be used again at once.
func TestIDsCanBeUsedAgain(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		for i := range 5 {
			text := fmt.Sprint(i)
			importLayer(t, s, "base", "", file("a", text))
			createImage(t, s, "image", "base")
			noError(t, s.SetData(t.Context(), model.ImageID("image"), "key", strings.NewReader(text)))
			if got := data(t, s, model.ImageID("image"), "key"); got != text {
				t.Errorf("round %d: data is %q", i, got)
			}
			onMount(t, s, "base", func(path string) {
				if got := readFile(t, filepath.Join(path, "a")); got != text {
					t.Errorf("round %d: file has %q", i, got)
				}
			})
			must(s.DeleteImage(t.Context(), "image"))(t)
		}
		// Within one transaction too: the directory of the old one goes after it.
		importLayer(t, s, "base", "", file("a", "old"))
		fresh := stageLayer(t, s, graph.LayerSpec{ID: "other"}, file("a", "new"))
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
			errDelete := tx.DeleteLayer("base")
			_, err := tx.CreateLayer(graph.LayerSpec{ID: "base"})
			_, errAdd := tx.AddLayer(fresh)
			return errors.Join(errDelete, err, errAdd)
		}))
		onMount(t, s, "base", func(path string) {
			if left := filesIn(t, path, ""); len(left) > 0 {
				t.Errorf("the new layer has %q", left)
			}
		})
	})
}
