package graph_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestEmptyObjectsCostNoFileOperation(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		createImage(t, s, "keep", "base")
		before := testutil.Snapshot(t, p.root)
		ctx := t.Context()
		for i := range 10 {
			id := fmt.Sprint(i)
			createLayer(t, s, model.LayerID(id), "base")
			createImage(t, s, model.ImageID(id), model.LayerID(id))
			c := createContainer(t, s, model.ContainerID(id), model.ImageID(id))
			if got := plainDiff(t, s, c.Layer); len(got) != 1024 {
				t.Errorf("diff has %d bytes", len(got))
			}
			size, err := s.DiffSize(ctx, c.Layer, "")
			changes, errChanges := s.Changes(ctx, c.Layer, "")
			if size != 0 || len(changes) > 0 || err != nil {
				t.Errorf("the empty layer has %d bytes and the changes %v", size, changes)
			}
			wantError(t, errChanges)
			_, errUnmount := s.Unmount(ctx, id, false)
			wantError(t, errUnmount, model.ErrLayerNotMounted)
			noError(t, s.DeleteContainer(ctx, c.ID))
			must(s.DeleteImage(ctx, model.ImageID(id)))(t)
		}
		after := testutil.Snapshot(t, p.root)
		for _, tree := range []testutil.Listing{before, after} {
			delete(tree, "csdb.db")
			delete(tree, "csdb.lock") // in which each commit is noted
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the tree has changed:\n%s", diff)
		}
	})
}

func TestEmptyLayersAreMadeWhenTheyAreNeeded(t *testing.T) {
	t.Parallel()
	needs := map[string]func(testing.TB, *graph.Store){
		"mount":     func(t testing.TB, s *graph.Store) { onMount(t, s, "top", func(string) {}) },
		"child":     func(t testing.TB, s *graph.Store) { importLayer(t, s, "child", "top", file("a", "1")) },
		"compare":   func(t testing.TB, s *graph.Store) { must(s.Changes(t.Context(), "top", "other"))(t) },
		"compare 2": func(t testing.TB, s *graph.Store) { must(s.DiffSize(t.Context(), "other", "top"))(t) },
	}
	for name, need := range needs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDriver(t, func(t *testing.T, p *place) {
				s := p.open(t)
				createLayer(t, s, "base", "")
				createLayer(t, s, "top", "base")
				createLayer(t, s, "other", "")
				need(t, s)
				for _, id := range []string{"base", "top"} {
					if l := must(s.Layer(t.Context(), id))(t); !l.Made || l.Size != model.SizeUnknown {
						t.Errorf("layer is %+v", l)
					}
				}
			})
		})
	}
}

// However many need a layer at the same time, it is made once.
func TestEmptyLayersAreMadeOnce(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		stores := []*graph.Store{p.open(t), p.open(t)}
		for i := range 4 {
			parent := model.LayerID("")
			if i > 0 {
				parent = model.LayerID(fmt.Sprint(i - 1))
			}
			createLayer(t, stores[0], model.LayerID(fmt.Sprint(i)), parent)
		}
		var wg sync.WaitGroup
		paths := make([]string, 8)
		for i := range paths {
			wg.Go(func() {
				var err error
				if paths[i], err = stores[i%2].Mount(t.Context(), "3", graph.MountOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, path := range paths {
			if path != paths[0] {
				t.Errorf("mounted at %q", paths)
			}
		}
		if n := must(stores[0].Mounted(t.Context(), "3"))(t); n != 8 {
			t.Errorf("mounted %d times", n)
		}
		if still, err := stores[1].Unmount(t.Context(), "3", true); still || err != nil {
			t.Errorf("still mounted: %v, %v", still, err)
		}
	})
}

// A layer whose directory has been lost is not taken for one that never had
// any.
func TestLostLayerIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		p.tampered = true
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		dir := filepath.Join(p.root, p.driver, "base")
		if p.driver == "vfs" {
			dir = filepath.Join(p.root, "vfs", "dir", "base")
		}
		noError(t, os.RemoveAll(dir))
		_, err := s.Mount(t.Context(), "base", graph.MountOptions{})
		wantError(t, err, model.ErrLayerUnknown)
		_, err = s.StageLayer(t.Context(), graph.LayerSpec{Parent: "base"}, failingReader{})
		if err == nil || errors.Is(err, errOnPurpose) {
			t.Errorf("a child of it: %v", err)
		}
		if got := must(s.Layer(t.Context(), "base"))(t); !got.Made {
			t.Error("the record has changed")
		}
		noError(t, s.DeleteLayer(t.Context(), "base"))
	})
}

// A change of a layer does not show in those that were created on it before,
// if the driver copies; they may have had no directory then.
func TestChildrenThatWereCreatedBeforeDoNotSeeAChange(t *testing.T) {
	t.Parallel()
	changes := map[string]func(testing.TB, *graph.Store){
		"written to": func(t testing.TB, s *graph.Store) {
			onMount(t, s, "base", func(path string) { writeFile(t, filepath.Join(path, "new"), "1") })
		},
		"applied to": func(t testing.TB, s *graph.Store) { apply(t, s, "base", file("new", "1")) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, "vfs")
			p.altered = true
			s := p.open(t)
			importLayer(t, s, "base", "", file("a", "1"))
			createLayer(t, s, "child", "base")
			createLayer(t, s, "grandchild", "child")
			change(t, s)
			createLayer(t, s, "late", "base")
			for id, want := range map[string]string{"child": "[a]", "grandchild": "[a]", "base": "[a new]", "late": "[a new]"} {
				onMount(t, s, id, func(path string) {
					if got := fmt.Sprint(filesIn(t, path, "")); got != want {
						t.Errorf("layer %s has %s", id, got)
					}
				})
			}
		})
	}
}

func TestChildOfAMountedLayerDoesNotSeeWhatIsWrittenLater(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "base", "")
	onMount(t, s, "base", func(path string) {
		writeFile(t, filepath.Join(path, "before"), "1")
		createLayer(t, s, "child", "base")
		writeFile(t, filepath.Join(path, "after"), "1")
	})
	onMount(t, s, "child", func(path string) {
		if got := fmt.Sprint(filesIn(t, path, "")); got != "[before]" {
			t.Errorf("the child has %s", got)
		}
	})
}

func TestChildCreatedWhileItsParentIsBeingMountedDoesNotSeeWhatIsWrittenLater(t *testing.T) {
	p := newPlace(t, "vfs")
	p.altered = true
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	held := must(p.locks().Lock(t.Context(), "mount:base", flock.Exclusive))(t)
	path := ""
	mounting := testutil.Start(func() (err error) {
		path, err = s.Mount(t.Context(), "base", graph.MountOptions{})
		return err
	})
	mounting.AwaitWait(t, "flock.(*Queue).take")
	createLayer(t, s, "child", "base")
	held.Unlock()
	noError(t, mounting.Result())
	writeFile(t, filepath.Join(path, "new"), "1")
	must(s.Unmount(t.Context(), "base", false))(t)
	onMount(t, s, "child", func(path string) {
		if got := fmt.Sprint(filesIn(t, path, "")); got != "[a]" {
			t.Errorf("the child has %s", got)
		}
	})
}
