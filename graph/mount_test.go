package graph_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// readyContainer makes a container "c" of an image "image" with a layer "base".
func readyContainer(t testing.TB, s *graph.Store) *model.Container {
	t.Helper()
	importLayer(t, s, "base", "", file("a", "1"))
	createImage(t, s, "image", "base")
	return createContainer(t, s, "c", "image")
}

// mounted returns how often a layer is mounted.
func mounted(t testing.TB, s *graph.Store, ref string) uint64 {
	t.Helper()
	return must(s.Mounted(t.Context(), ref))(t)
}

func TestMountsAreCountedAcrossHandles(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		a, b := p.open(t), p.open(t)
		c := readyContainer(t, a)
		ctx := t.Context()
		path := must(a.Mount(ctx, "c", graph.MountOptions{}))(t)
		for i, s := range []*graph.Store{b, a, b} {
			ref := []string{"c", string(c.Layer), "c"}[i]
			if again := must(s.Mount(ctx, ref, graph.MountOptions{}))(t); again != path {
				t.Errorf("mounted at %s and %s", path, again)
			}
		}
		writeFile(t, filepath.Join(path, "b"), "2")
		for left := uint64(4); left > 0; left-- {
			if n := mounted(t, b, "c"); n != left {
				t.Errorf("mounted %d times instead of %d", n, left)
			}
			if got := readFile(t, filepath.Join(path, "a")) + readFile(t, filepath.Join(path, "b")); got != "12" {
				t.Errorf("files have %q", got)
			}
			still, err := b.Unmount(ctx, "c", false)
			if err != nil || still != (left > 1) {
				t.Errorf("%d left: still mounted: %v, %v", left, still, err)
			}
		}
		if n := mounted(t, a, "c"); n != 0 {
			t.Errorf("mounted %d times at the end", n)
		}
		_, err := a.Unmount(ctx, "c", false)
		wantError(t, err, model.ErrLayerNotMounted)
		_, err = a.Unmount(ctx, "unicorn", false)
		wantError(t, err, model.ErrLayerUnknown)
	})
}

func TestMountLayerIsNotMisledByContainers(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		readyContainer(t, s)
		// A container that is called like the layer.
		err := s.Update(t.Context(), func(tx *graph.Tx) error {
			_, err := tx.SetNames(model.ContainerID("c"), "base")
			return err
		})
		noError(t, err)
		ctx := t.Context()
		ofContainer := must(s.Mount(ctx, "base", graph.MountOptions{}))(t)
		path := must(s.MountLayer(ctx, "base", graph.MountOptions{}))(t)
		if m := must(s.MountOf(ctx, "base"))(t); path == ofContainer || m == nil || m.Path != path {
			t.Errorf("mounted at %s, and the container at %s: %+v", path, ofContainer, m)
		}
		if still, err := s.UnmountLayer(ctx, "base", false); still || err != nil {
			t.Errorf("still mounted: %v, %v", still, err)
		}
		if n := mounted(t, s, "c"); n != 1 {
			t.Errorf("the container is mounted %d times", n)
		}
		_, err = s.UnmountLayer(ctx, "base", false)
		wantError(t, err, model.ErrLayerNotMounted)
		_, err = s.Unmount(ctx, "c", false)
		noError(t, err)
		_, err = s.MountLayer(ctx, "c", graph.MountOptions{})
		wantError(t, err, model.ErrLayerUnknown)
	})
}

func TestForcedUnmountUndoesAllMounts(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		readyContainer(t, s)
		for range 3 {
			must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		}
		if still, err := s.Unmount(t.Context(), "c", true); still || err != nil {
			t.Errorf("still mounted: %v, %v", still, err)
		}
		if n := mounted(t, s, "c"); n != 0 {
			t.Errorf("mounted %d times", n)
		}
	})
}

func TestUnmountByPath(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		readyContainer(t, s)
		path := must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		if n := mounted(t, s, path); n != 1 {
			t.Errorf("mounted %d times", n)
		}
		_, err := s.Unmount(t.Context(), path+"/.", false)
		noError(t, err)
		_, err = s.Unmount(t.Context(), path, false)
		wantError(t, err, model.ErrLayerUnknown)
	})
}

func TestImagesAreMountedReadOnly(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		readyContainer(t, s)
		ctx := t.Context()
		path := must(s.MountImage(ctx, "image", graph.MountOptions{}))(t)
		if got := readFile(t, filepath.Join(path, "a")); got != "1" {
			t.Errorf("file has %q", got)
		}
		if p.driver == "overlay" {
			if err := os.WriteFile(filepath.Join(path, "b"), nil, 0o600); !errors.Is(err, unix.EROFS) {
				t.Errorf("writing to the image: %v", err)
			}
		}
		_, err := s.UnmountImage(ctx, "image", false)
		noError(t, err)
		createImage(t, s, "void", "")
		_, err = s.MountImage(ctx, "void", graph.MountOptions{})
		wantError(t, err, model.ErrLayerUnknown)
		_, err = s.UnmountImage(ctx, "void", false)
		wantError(t, err, model.ErrLayerUnknown)
		_, err = s.MountImage(ctx, "unicorn", graph.MountOptions{})
		wantError(t, err, model.ErrImageUnknown)
	})
}

// mountOptions returns the options of a mount as the kernel shows them.
func mountOptions(t testing.TB, path string) string {
	t.Helper()
	return must(kernelMount(path))(t)
}

func TestContainersAreMountedAsTheyWereMade(t *testing.T) {
	testutil.NeedRoot(t)
	p := newPlace(t, "overlay")
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	createImage(t, s, "image", "base")
	must(s.CreateContainer(t.Context(), graph.ContainerSpec{
		ID: "c", Image: "image", MountOpts: []string{"nodev", "noatime"}, Volatile: true,
	}))(t)
	check := func(how graph.MountOptions, want ...string) {
		t.Helper()
		path := must(s.Mount(t.Context(), "c", how))(t)
		shown := mountOptions(t, path)
		for _, option := range want {
			name, negated := option, false
			if option[0] == '!' {
				name, negated = option[1:], true
			}
			options := splitOptions(shown)
			// Newer kernels write fsync=volatile.
			if (slices.Contains(options, name) || slices.Contains(options, "fsync="+name)) == negated {
				t.Errorf("with %+v: want %s, mounted with %s", how, option, shown)
			}
		}
		_, err := s.Unmount(t.Context(), "c", false)
		noError(t, err)
	}
	check(graph.MountOptions{}, "nodev", "noatime", "volatile", "rw")
	check(graph.MountOptions{NoVolatile: true}, "nodev", "!volatile")
	check(graph.MountOptions{ReadOnly: true}, "ro")
	check(graph.MountOptions{Options: []string{"nosuid"}}, "nosuid", "!nodev", "!noatime")
}

// What the kernel says counts: somebody may have unmounted it.
func TestForeignUnmountBeginsTheCountAnew(t *testing.T) {
	testutil.NeedRoot(t)
	p := newPlace(t, "overlay")
	s := p.open(t)
	readyContainer(t, s)
	var path string
	for range 3 {
		path = must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
	}
	noError(t, unix.Unmount(path, unix.MNT_DETACH))
	if n := mounted(t, s, "c"); n != 0 {
		t.Errorf("mounted %d times after the foreign unmount", n)
	}
	must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
	if n := mounted(t, s, "c"); n != 1 {
		t.Errorf("mounted %d times after the next mount", n)
	}
	noError(t, unix.Unmount(path, unix.MNT_DETACH))
	_, err := s.Unmount(t.Context(), "c", false)
	wantError(t, err, model.ErrLayerNotMounted)
}

// editRun changes the run database behind the back of the store.
func editRun(t testing.TB, p *place, s *graph.Store, edit func(*db.RunTx) error) {
	t.Helper()
	run, err := db.OpenRun(t.Context(), p.run, s.Info().UUID)
	noError(t, err)
	defer run.Close()
	noError(t, run.Update(t.Context(), edit))
}

// A mount that nobody came to note is one all the same.
func TestMountWithoutRecordIsAdopted(t *testing.T) {
	testutil.NeedRoot(t)
	p := newPlace(t, "overlay")
	s := p.open(t)
	c := readyContainer(t, s)
	path := must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
	editRun(t, p, s, func(tx *db.RunTx) error { return tx.RemoveMount(c.Layer) })
	if n := mounted(t, s, "c"); n != 1 {
		t.Errorf("mounted %d times", n)
	}
	mounts := must(s.Mounts(t.Context()))(t)
	if len(mounts) != 1 || mounts[0].Layer != c.Layer || mounts[0].Path != path {
		t.Errorf("mounts are %+v", mounts)
	}
	if n := mounted(t, s, path); n != 1 {
		t.Errorf("mounted %d times by its path", n)
	}
	must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
	if still, err := s.Unmount(t.Context(), "c", false); !still || err != nil {
		t.Errorf("still mounted: %v, %v", still, err)
	}
	ids, err := s.Shutdown(t.Context(), true)
	if err != nil || !slices.Equal(ids, []model.LayerID{c.Layer}) {
		t.Errorf("shutdown: %v, %v", ids, err)
	}
}

// The count of a deleted layer is not that of a new one with its ID.
func TestMountsOfADeletedLayerAreForgotten(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createLayer(t, s, "layer", "")
		stale := db.Mount{Layer: "layer", Path: must(s.Mount(t.Context(), "layer", graph.MountOptions{}))(t), Count: 7}
		noError(t, s.DeleteLayer(t.Context(), "layer"))
		// Somebody could not remove the record any more.
		editRun(t, p, s, func(tx *db.RunTx) error { return tx.SetMount(stale) })
		first := stageLayer(t, s, graph.LayerSpec{ID: "layer"}, file("a", "1"))
		importLayer(t, s, "layer", "", file("b", "1")) // gets another directory
		noError(t, first.Discard(t.Context()))
		if n := mounted(t, s, "layer"); n != 0 {
			t.Errorf("the new layer is mounted %d times", n)
		}
		path := must(s.Mount(t.Context(), "layer", graph.MountOptions{}))(t)
		if path == stale.Path || mounted(t, s, "layer") != 1 {
			t.Errorf("mounted %d times at %s", mounted(t, s, "layer"), path)
		}
		_, err := s.Unmount(t.Context(), "layer", false)
		noError(t, err)
	})
}

func TestShutdownTellsWhatIsMounted(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		c := readyContainer(t, s)
		if ids, err := s.Shutdown(t.Context(), false); err != nil || len(ids) > 0 {
			t.Errorf("nothing mounted: %v, %v", ids, err)
		}
		must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		ids, err := s.Shutdown(t.Context(), false)
		wantError(t, err, model.ErrLayerUsedByContainer)
		if !slices.Equal(ids, []model.LayerID{c.Layer}) || mounted(t, s, "c") != 2 {
			t.Errorf("mounted are %v", ids)
		}
		ids, err = s.Shutdown(t.Context(), true)
		if err != nil || !slices.Equal(ids, []model.LayerID{c.Layer}) || mounted(t, s, "c") != 0 {
			t.Errorf("forced: %v, %v", ids, err)
		}
	})
}

// A run root that is cleaned while the store is in use takes notes along, and
// nothing else.
func TestRunRootMayBeCleaned(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		readyContainer(t, s)
		path := must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		staged := stageLayer(t, s, graph.LayerSpec{ID: "new", Parent: "base"}, file("b", "1"))
		noError(t, os.RemoveAll(p.run))
		if n, want := mounted(t, s, "c"), map[string]uint64{"overlay": 1, "vfs": 0}[p.driver]; n != want {
			t.Errorf("mounted %d times", n)
		}
		noError(t, os.RemoveAll(p.run))
		again := must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		if again != path {
			t.Errorf("mounted at %s and %s", path, again)
		}
		if r := must(p.open(t).Recover(t.Context()))(t); len(r.Strays)+len(r.Staged) > 0 {
			t.Errorf("what is staged has been removed: %+v", r)
		}
		noError(t, os.RemoveAll(p.run))
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { _, err := tx.AddLayer(staged); return err }))
		dir := must(s.RunDir(t.Context(), model.ContainerID("c")))(t)
		writeFile(t, filepath.Join(dir, "f"), "x")
		noError(t, os.RemoveAll(p.run))
		noError(t, s.DeleteContainer(t.Context(), "c"))
	})
}

// While a diff is read nobody changes or removes the layer; mounting and
// unmounting it changes nothing.
func TestOpenDiffKeepsItsLayer(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		c := readyContainer(t, s)
		onMount(t, s, "c", func(path string) { writeFile(t, filepath.Join(path, "b"), "2") })
		must(s.Mount(t.Context(), "c", graph.MountOptions{}))(t)
		stream := must(s.Diff(t.Context(), c.Layer, graph.DiffOptions{}))(t)
		onMount(t, other, "base", func(string) {})
		must(other.Unmount(t.Context(), "c", false))(t)
		onMount(t, s, "c", func(string) {})
		err := testutil.GiveUp(t, "flock.(*Queue).take", func(ctx context.Context) error {
			_, err := other.ApplyDiff(ctx, c.Layer, failingReader{})
			return err
		})
		wantError(t, err, model.ErrBusy)
		noError(t, other.DeleteContainer(t.Context(), "c"))
		got, err := readAllOf(stream)
		noError(t, err)
		if names := tarNames(t, got); !slices.Contains(names, "b") {
			t.Errorf("the diff has %q", names)
		}
		p.examine(t)
	})
}
