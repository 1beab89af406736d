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

func transient(o *graph.Options) { o.TransientStore = true }

// containerIDs lists the containers that can be seen.
func containerIDs(t *testing.T, s *graph.Store) (ids []string) {
	t.Helper()
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		for _, c := range must(tx.Containers())(t) {
			ids = append(ids, string(c.ID))
		}
		return nil
	}))
	return ids
}

func TestVolatileContainersGoWithTheRunRoot(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		for name, change := range map[string]func(*graph.Options){"volatile": func(*graph.Options) {}, "transient": transient} {
			s := p.open(t, change)
			ctx := t.Context()
			importLayer(t, s, "base", "", file("a", "1"))
			createImage(t, s, "image", "base", "image")
			lasting := graph.ContainerSpec{ID: "lasting", Image: "image"}
			if name == "volatile" {
				must(s.CreateContainer(ctx, lasting))(t)
			}
			c := must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "lost", Image: "image", Names: []string{"name"}, Volatile: name == "volatile"}))(t)
			if !c.Volatile() {
				t.Errorf("%s: the container has not the flag", name)
			}
			noError(t, s.SetData(ctx, c.ID, "key", strings.NewReader("value")))
			onMount(t, s, "name", func(path string) { writeFile(t, filepath.Join(path, "b"), "2") })
			onMount(t, s, "name", func(path string) {
				if readFile(t, filepath.Join(path, "a"))+readFile(t, filepath.Join(path, "b")) != "12" {
					t.Errorf("%s: what was written is not there", name)
				}
			})
			other := p.open(t, change)
			if got := must(other.Container(ctx, "name"))(t); got.ID != "lost" || data(t, other, got.ID, "key") != "value" {
				t.Errorf("%s: another one sees %+v", name, got)
			}
			_, err := s.DeleteImage(ctx, "image")
			wantError(t, err, model.ErrImageUsedByContainer)
			if r := must(s.Recover(ctx))(t); len(r.Strays) > 0 {
				t.Errorf("%s: %q count as strays", name, r.Strays)
			}
			noError(t, s.Close())
			noError(t, other.Close())
			noError(t, os.RemoveAll(p.run))
			s = p.open(t, change)
			var want []string
			if name == "volatile" {
				want = []string{"lasting"}
			}
			if got := containerIDs(t, s); !slices.Equal(got, want) {
				t.Errorf("%s: after the end of the run root there are %q", name, got)
			}
			if r := must(s.Recover(ctx))(t); len(r.Strays) != 2 { // layer and data item
				t.Errorf("%s: strays are %q", name, r.Strays)
			}
			noError(t, s.Wipe(ctx))
			noError(t, s.Close())
		}
	})
}

func TestContainersOfTheOtherModeAreHiddenAndCount(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		ctx := t.Context()
		normal, transient := p.open(t), p.open(t, transient)
		importLayer(t, normal, "base", "", file("a", "1"))
		createImage(t, normal, "image", "base", "image")
		createContainer(t, normal, "lasting", "image")
		must(normal.CreateContainer(ctx, graph.ContainerSpec{ID: "volatile", Image: "image", Volatile: true}))(t)
		must(transient.CreateContainer(ctx, graph.ContainerSpec{ID: "transient", Image: "image", Names: []string{"t"}}))(t)
		onMount(t, transient, "transient", func(path string) {
			writeFile(t, filepath.Join(path, "b"), "2")
			if r := must(normal.Recover(ctx))(t); len(r.Strays) > 0 {
				t.Errorf("strays are %q", r.Strays)
			}
			if n := must(transient.Mounted(ctx, "transient"))(t); n != 1 {
				t.Errorf("it is mounted %d times", n)
			}
		})
		if got := containerIDs(t, normal); !slices.Equal(got, []string{"lasting", "volatile"}) {
			t.Errorf("without the mode there are %q", got)
		}
		if got := containerIDs(t, transient); !slices.Equal(got, []string{"lasting", "transient"}) {
			t.Errorf("in the transient mode there are %q", got)
		}
		_, err := normal.Container(ctx, "t")
		wantError(t, err, model.ErrContainerUnknown)
		noError(t, normal.DeleteContainer(ctx, "lasting"))
		noError(t, normal.DeleteContainer(ctx, "volatile"))
		_, err = normal.DeleteImage(ctx, "image")
		wantError(t, err, model.ErrImageUsedByContainer)
		_, err = normal.CreateContainer(ctx, graph.ContainerSpec{ID: "transient"})
		wantError(t, err, model.ErrDuplicateID)
		noError(t, transient.DeleteContainer(ctx, "transient"))
		must(normal.DeleteImage(ctx, "image"))(t)
	})
}

func TestNamesMoveBetweenVolatileAndOtherContainers(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	ctx := t.Context()
	must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "a", Names: []string{"x", "y"}}))(t)
	must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "b", Volatile: true, Names: []string{"z"}}))(t)
	_, err := s.CreateContainer(ctx, graph.ContainerSpec{ID: "c", Volatile: true, Names: []string{"x"}})
	wantError(t, err, model.ErrDuplicateName)
	_, err = s.CreateContainer(ctx, graph.ContainerSpec{ID: "c", Names: []string{"z"}})
	wantError(t, err, model.ErrDuplicateName)
	must(s.AddNames(ctx, model.ContainerID("b"), "x"))(t)
	must(s.SetNames(ctx, model.ContainerID("a"), "z", "w"))(t)
	other := p.open(t)
	for name, want := range map[string]string{"x": "b", "w": "a", "z": "a"} {
		if got := must(other.Container(ctx, name))(t); string(got.ID) != want {
			t.Errorf("%s means %s", name, got.ID)
		}
	}
	_, err = other.Container(ctx, "y")
	wantError(t, err, model.ErrContainerUnknown)
}

func TestVolatileContainersOfAnotherRunRootKeepWhatTheyNeed(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		ctx := t.Context()
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		createImage(t, s, "image", "base", "image")
		other := p.open(t, transient, func(o *graph.Options) { o.RunRoot = filepath.Join(filepath.Dir(p.root), "run2") })
		c := must(other.CreateContainer(ctx, graph.ContainerSpec{ID: "c", Image: "image"}))(t)
		path := must(other.Mount(ctx, "c", graph.MountOptions{}))(t)
		writeFile(t, filepath.Join(path, "b"), "2")
		if r := must(s.Recover(ctx))(t); len(r.Strays) > 0 {
			t.Errorf("strays are %q", r.Strays)
		}
		_, err := s.DeleteImage(ctx, "image")
		wantError(t, err, model.ErrHeld)
		if !strings.Contains(err.Error(), "run2") {
			t.Errorf("the error does not name the run root: %v", err)
		}
		if got := readFile(t, filepath.Join(path, "b")); got != "2" {
			t.Errorf("there is %q", got)
		}
		must(other.Unmount(ctx, "c", false))(t)
		noError(t, other.DeleteContainer(ctx, c.ID))
		must(s.DeleteImage(ctx, "image"))(t)
	})
}

func TestReferencesToVolatileContainersAreAsExactAsToOthers(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	ctx := t.Context()
	must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "abc", Layer: "own1", Names: []string{"name", "xyz2"}}))(t)
	must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "abd", Layer: "own2", Names: []string{"ab"}, Volatile: true}))(t)
	must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "xyz", Volatile: true}))(t)
	must(s.CreateContainer(ctx, graph.ContainerSpec{ID: "xyz22"}))(t)
	for ref, want := range map[string]string{"abc": "abc", "abd": "abd", "ab": "abd", "xyz": "xyz", "xyz2": "abc", "own2": "abd", "xyz22": "xyz22"} {
		if got := must(s.Container(ctx, ref))(t); string(got.ID) != want {
			t.Errorf("%s means %s", ref, got.ID)
		}
	}
	for _, ref := range []string{"a", "xy", ""} {
		_, err := s.Container(ctx, ref)
		wantError(t, err, model.ErrContainerUnknown)
	}
}
