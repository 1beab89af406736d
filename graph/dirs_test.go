package graph_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestObjectsHaveDirectoriesForWhoeverUsesThem(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	createContainer(t, s, "c", "image")
	ctx := t.Context()
	for _, id := range []model.ID{model.ImageID("image"), model.ContainerID("c")} {
		for root, get := range map[string]func() (string, error){
			p.root: func() (string, error) { return s.Dir(ctx, id) },
			p.run:  func() (string, error) { return s.RunDir(ctx, id) },
		} {
			dir := must(get())(t)
			if want := filepath.Join(root, "vfs-"+string(id.Kind())+"s", id.String(), "userdata"); dir != want {
				t.Errorf("directory is %s instead of %s", dir, want)
			}
			info := must(os.Stat(dir))(t)
			if info.Mode().Perm() != 0o700 {
				t.Errorf("mode of %s is %v", dir, info.Mode())
			}
			writeFile(t, filepath.Join(dir, "f"), "x")
			if again := must(get())(t); again != dir || readFile(t, filepath.Join(again, "f")) != "x" {
				t.Errorf("the directory has changed")
			}
		}
	}
	for _, id := range []model.ID{model.ImageID("unicorn"), model.ContainerID("../x"), model.LayerID("l")} {
		if dir, err := s.Dir(ctx, id); err == nil {
			t.Errorf("%s %q has the directory %s", id.Kind(), id, dir)
		}
		if dir, err := s.RunDir(ctx, id); err == nil {
			t.Errorf("%s %q has the run directory %s", id.Kind(), id, dir)
		}
	}
	must(s.RemoveNames(ctx, model.ImageID("image"), "x"))(t)
	noError(t, s.DeleteContainer(ctx, "c"))
	must(s.DeleteImage(ctx, "image"))(t)
}

// A new object does not inherit the directories of an old one with its ID.
func TestNewObjectsHaveNewDirectories(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	ctx := t.Context()
	for range 3 {
		createContainer(t, s, "c", "")
		for _, get := range []func() (string, error){
			func() (string, error) { return s.Dir(ctx, model.ContainerID("c")) },
			func() (string, error) { return s.RunDir(ctx, model.ContainerID("c")) },
		} {
			dir := must(get())(t)
			if names := filesIn(t, dir, ""); len(names) > 0 {
				t.Errorf("%s has %q", dir, names)
			}
			writeFile(t, filepath.Join(dir, "old"), "x")
		}
		// In one transaction: the old directories go after it.
		noError(t, s.Update(ctx, func(tx *graph.Tx) error {
			if err := tx.DeleteContainer("c"); err != nil {
				return err
			}
			_, err := tx.CreateContainer(graph.ContainerSpec{ID: "c"})
			return err
		}))
		for _, root := range []string{p.root, p.run} {
			dir := filepath.Join(root, "vfs-containers", "c")
			if _, err := os.Lstat(dir); err == nil {
				t.Errorf("%s is left over", dir)
			}
		}
		noError(t, s.DeleteContainer(ctx, "c"))
	}
}

// Whoever makes the directory of an object that is being deleted leaves no
// directory without an object.
func TestDirectoryOfAnObjectThatIsBeingDeleted(t *testing.T) {
	p := newPlace(t, "vfs")
	s, other := p.open(t), p.open(t)
	for i := range 20 {
		id := model.ContainerID(fmt.Sprint("c", i))
		createContainer(t, s, id, "")
		var wg sync.WaitGroup
		wg.Go(func() {
			dir, err := other.Dir(t.Context(), id)
			if err != nil {
				wantError(t, err, model.ErrContainerUnknown)
			} else if !strings.Contains(dir, string(id)) {
				t.Errorf("directory of %s is %s", id, dir)
			}
		})
		wg.Go(func() {
			if err := s.DeleteContainer(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	p.examine(t)
}

// Beside a transaction of its own process a reader sees what was before.
func TestDirectoryMadeWhileItsObjectIsBeingDeletedGoesToo(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createContainer(t, s, "c", "")
	dir := filepath.Join(p.root, "vfs-containers", "c", "userdata")
	var making *testutil.Call
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		if err := tx.DeleteContainer("c"); err != nil {
			return err
		}
		making = testutil.Start(func() error { _, err := s.Dir(t.Context(), model.ContainerID("c")); return err })
		making.AwaitWait(t, "db.(*file).awaitWriter") // it waits for the commit
		return nil
	}))
	if err := making.Result(); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}
