package drivers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// layerDirs opens an empty directory of layers.
func layerDirs(t *testing.T) (dirs *drivers.LayerDirs, path string) {
	t.Helper()
	path = t.TempDir()
	dirs, err := drivers.OpenLayerDirs(path)
	must(t, err)
	t.Cleanup(func() { must(t, dirs.Close()) })
	return dirs, path
}

// build makes a layer with a file.
func build(t *testing.T, dirs *drivers.LayerDirs, id string) {
	t.Helper()
	must(t, dirs.Build(t.Context(), id, func(dir *at.Dir) error { return dir.WriteFile("file", []byte(id), 0o644) }))
}

func wantLayers(t *testing.T, dirs *drivers.LayerDirs, want ...string) {
	t.Helper()
	if got, err := dirs.List(); err != nil || !slices.Equal(got, want) {
		t.Errorf("layers are %q, %v, want %q", got, err, want)
	}
}

func TestLayerAppearsWhenItIsWhole(t *testing.T) {
	dirs, path := layerDirs(t)
	err := dirs.Build(t.Context(), "layer", func(dir *at.Dir) error {
		if exists, err := dirs.Exists("layer"); err != nil || exists {
			t.Errorf("exists before it is made: %v", err)
		}
		// Whoever collects garbage has to find it all the same.
		wantLayers(t, dirs, "layer")
		return dir.Mkdir("sub", 0o751, os.Geteuid(), os.Getegid())
	})
	must(t, err)
	info, err := os.Stat(filepath.Join(path, "layer", "sub"))
	must(t, err)
	if info.Mode().Perm() != 0o751 {
		t.Errorf("mode is %v", info.Mode())
	}
	wantLayers(t, dirs, "layer")
}

func TestBuildThatFailsLeavesNothing(t *testing.T) {
	dirs, path := layerDirs(t)
	failure := errors.New("failure")
	err := dirs.Build(t.Context(), "layer", func(dir *at.Dir) error {
		return errors.Join(dir.Mkdir("sub", 0, os.Geteuid(), os.Getegid()), failure)
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want what went wrong", err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestBuildCleansUpAlsoWhenItIsInterrupted(t *testing.T) {
	dirs, path := layerDirs(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := dirs.Build(ctx, "layer", func(dir *at.Dir) error {
		cancel()
		return errors.Join(dir.Mkdir("sub", 0o700, os.Geteuid(), os.Getegid()), ctx.Err())
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestBuildDoesNotReplaceWhatAppearsMeanwhile(t *testing.T) {
	dirs, path := layerDirs(t)
	err := dirs.Build(t.Context(), "layer", func(*at.Dir) error {
		return os.WriteFile(filepath.Join(path, "layer"), []byte("somebody else's"), 0o600)
	})
	if !errors.Is(err, model.ErrExists) {
		t.Errorf("got %v, want ErrExists", err)
	}
	if content, err := os.ReadFile(filepath.Join(path, "layer")); err != nil || string(content) != "somebody else's" {
		t.Errorf("file contains %q, %v", content, err)
	}
}

func TestRestsOfInterruptedWorkAreListedAndRemoved(t *testing.T) {
	dirs, path := layerDirs(t)
	build(t, dirs, "whole")
	for _, id := range []string{"half", "whole"} {
		must(t, os.MkdirAll(filepath.Join(path, ".part-"+id, "rest"), 0o700))
	}
	wantLayers(t, dirs, "half", "whole")
	if exists, err := dirs.Exists("half"); err != nil || exists {
		t.Errorf("half a layer exists: %v, %v", exists, err)
	}
	for _, id := range []string{"half", "whole", "none"} {
		forgotten := 0
		found, err := dirs.Remove(t.Context(), id, func(*at.Dir) error {
			forgotten++
			return nil
		})
		must(t, err)
		if want := map[string]int{"half": 1, "whole": 2, "none": 0}[id]; forgotten != want || found != (want > 0) {
			t.Errorf("%s: found %v, forgotten %d times, want %d", id, found, forgotten, want)
		}
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestBuildReplacesRestsOfTheSameLayer(t *testing.T) {
	dirs, path := layerDirs(t)
	must(t, os.MkdirAll(filepath.Join(path, ".part-layer", "rest"), 0o700))
	build(t, dirs, "layer")
	entries, err := os.ReadDir(filepath.Join(path, "layer"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "file" {
		t.Errorf("layer contains %v, %v", entries, err)
	}
	wantLayers(t, dirs, "layer")
}

func TestRemoveThatFailsCanBeRepeated(t *testing.T) {
	dirs, _ := layerDirs(t)
	build(t, dirs, "layer")
	failure := errors.New("failure")
	_, err := dirs.Remove(t.Context(), "layer", func(*at.Dir) error { return failure })
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want what went wrong", err)
	}
	wantLayers(t, dirs, "layer")
	_, err = dirs.Remove(t.Context(), "layer", func(dir *at.Dir) error {
		// Nothing has been deleted before it was forgotten.
		content, err := dir.ReadFile("file", 100)
		if string(content) != "layer" {
			t.Errorf("file contains %q", content)
		}
		return err
	})
	must(t, err)
	wantLayers(t, dirs)
}

func TestOnlyDirectoriesWithNamesOfLayersAreListed(t *testing.T) {
	dirs, path := layerDirs(t)
	build(t, dirs, "layer")
	for _, name := range []string{"l", ".probe", ".part-.part-x", ".part-", "staging", ".hidden", "with:colon"} {
		must(t, os.Mkdir(filepath.Join(path, name), 0o700))
	}
	must(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	must(t, os.Symlink("layer", filepath.Join(path, "link")))
	wantLayers(t, dirs, "layer")
}
