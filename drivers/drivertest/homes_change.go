package drivertest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// TestNothingIsChangedInOtherHomes although it could be.
func (s suite) TestNothingIsChangedInOtherHomes(t *testing.T) {
	all := s.openAll(t, s.traits.Dir(t), "ours", "theirs")
	ours, theirs := all[0], all[1]
	theirs.chain("base", "top")
	theirs.write("top", "file", "of top")
	ours.create("own", "top")
	diff := ours.diff("top", "base")
	before := testutil.Snapshot(t, theirs.config.Home)
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want one that matches %q", what, err, want)
		}
	}
	check("Create", ours.driver.Create(t.Context(), "top", "", drivers.CreateOptions{}), model.ErrExists)
	check("Create of a writable one", ours.driver.Create(t.Context(), "base", "own", drivers.CreateOptions{Writable: true}), model.ErrExists)
	check("Remove", ours.driver.Remove(t.Context(), "top"), model.ErrStoreIsReadOnly)
	check("Apply", ours.apply("top", diff), model.ErrStoreIsReadOnly)
	_, err := ours.driver.Mount(t.Context(), "top", drivers.MountOptions{})
	check("Mount", err, model.ErrStoreIsReadOnly)
	if driver, ok := ours.driver.(drivers.Replacer); ok {
		check("Replace", driver.Replace(t.Context(), "top", "own"), model.ErrStoreIsReadOnly)
		check("Replace by it", driver.Replace(t.Context(), "own", "top"), model.ErrStoreIsReadOnly)
	}
	if driver, ok := ours.driver.(drivers.Measurer); ok {
		if size, err := driver.Measure(t.Context(), "top"); err != nil || size != 0 {
			t.Errorf("removing it is said to give back %d bytes (%v)", size, err)
		}
	}
	ours.fixtureAround("own")
	if diff := cmp.Diff(before, testutil.Snapshot(t, theirs.config.Home)); diff != "" {
		t.Errorf("the other home has changed:\n%s", diff)
	}
	ours.wantLayers("own")
	if got := ours.read("own", "file"); got != "of top" {
		t.Errorf("file contains %q", got)
	}
	if left := ours.mounts(); len(left) > 0 {
		t.Errorf("mounted: %q", left)
	}
}

// fixtureAround makes a layer on top of another one, changes files of both and
// removes it.
func (h *harness) fixtureAround(parent string) {
	h.Helper()
	h.create("around", parent)
	h.inside("around", func(root string) {
		h.must(os.Chmod(filepath.Join(root, "file"), 0o600))
		h.must(os.Remove(filepath.Join(root, "file")))
		writeFile(h, filepath.Join(root, "file"), "of around")
	})
	h.remove("around")
}

// TestOwnHomeComesFirst where several have a layer of one name.
func (s suite) TestOwnHomeComesFirst(t *testing.T) {
	dir := s.traits.Dir(t)
	configs := homesIn(dir, "ours", "theirs")
	alone := configs[1]
	alone.Others = nil
	ours, theirs := s.openAt(t, configs[0]), s.openAt(t, alone)
	ours.create("layer", "")
	ours.write("layer", "file", "ours")
	theirs.create("layer", "")
	theirs.write("layer", "file", "theirs")
	theirs.create("foreign", "layer")
	theirs.write("foreign", "new", "of foreign")
	before := testutil.Snapshot(t, theirs.config.Home)
	ours.create("child", "layer")
	for _, id := range []string{"layer", "child"} {
		if got := ours.read(id, "file"); got != "ours" {
			t.Errorf("file of %s contains %q", id, got)
		}
	}
	if got := ours.changes("child", "layer"); len(got) > 0 {
		t.Errorf("changes of child are %v", got)
	}
	// The layer below this one is another one of that name.
	want := []model.Change{{Path: "/file", Kind: model.ChangeModify}, {Path: "/new", Kind: model.ChangeAdd}}
	if diff := cmp.Diff(want, ours.changes("foreign", "layer")); diff != "" {
		t.Errorf("changes of a layer in the other home (-want +got):\n%s", diff)
	}
	ours.remove("child")
	ours.remove("layer")
	ours.wantLayers()
	if diff := cmp.Diff(before, testutil.Snapshot(t, theirs.config.Home)); diff != "" {
		t.Errorf("the other home has changed:\n%s", diff)
	}
	// What is left is the other one.
	path := ours.mountReadOnly("layer")
	if got := readFile(t, filepath.Join(path, "file")); got != "theirs" {
		t.Errorf("file contains %q", got)
	}
	ours.unmount("layer")
	if err := ours.driver.Remove(t.Context(), "layer"); !errors.Is(err, model.ErrStoreIsReadOnly) {
		t.Errorf("removing it: got %v, want ErrStoreIsReadOnly", err)
	}
}

// TestRemainsOfALayerAreRemoved also if another home has a layer of that name.
func (s suite) TestRemainsOfALayerAreRemoved(t *testing.T) {
	dir := s.traits.Dir(t)
	configs := homesIn(dir, "ours", "theirs")
	ours, theirs := s.openAt(t, configs[0]), s.openAt(t, configs[1])
	ours.create("other", "")
	before := ours.homeNames()
	ours.create("layer", "")
	for _, part := range ours.partsOf("layer", before) {
		if filepath.Base(part) == "layer" {
			ours.must(os.Rename(part, filepath.Join(filepath.Dir(part), ".part-layer")))
		}
	}
	ours.wantLayers("layer", "other")
	theirs.create("layer", "")
	ours.remove("layer")
	ours.wantLayers("other")
	if !ours.exists("layer") || !theirs.exists("layer") {
		t.Error("the layer of the other home is gone")
	}
}

// TestOtherHomesMayComeAndGo, which matters only to those who need them.
func (s suite) TestOtherHomesMayComeAndGo(t *testing.T) {
	configs := homesIn(s.traits.Dir(t), "ours", "theirs")
	ours := s.openAt(t, configs[0])
	ours.create("own", "")
	if ours.exists("base") {
		t.Error("a layer is in a home that does not exist")
	}
	_, err := ours.driver.Mount(t.Context(), "base", drivers.MountOptions{ReadOnly: true})
	if !errors.Is(err, model.ErrLayerUnknown) || !strings.Contains(err.Error(), configs[1].Home) {
		t.Errorf("got %v, want ErrLayerUnknown and the home that is missing", err)
	}
	theirs := s.openAt(t, configs[1])
	theirs.create("base", "")
	theirs.write("base", "file", "of base")
	ours.create("child", "base")
	if got := ours.read("child", "file"); got != "of base" {
		t.Errorf("file contains %q", got)
	}
	ours.must(os.Rename(theirs.config.Home, theirs.config.Home+"-away"))
	ours.write("own", "file", "of own")
	// A driver that has copied the parent has all that it needs.
	path, err := ours.driver.Mount(t.Context(), "child", drivers.MountOptions{})
	switch {
	case err == nil:
		if got := readFile(t, filepath.Join(path, "file")); got != "of base" {
			t.Errorf("without the home of its parent, the file contains %q", got)
		}
	case !errors.Is(err, model.ErrNotFound) || errors.Is(err, model.ErrCorrupt) || !strings.Contains(err.Error(), configs[1].Home):
		t.Errorf("mounting: got %v, want ErrNotFound and the home that is missing", err)
	}
	ours.must(os.Rename(theirs.config.Home+"-away", theirs.config.Home))
	if got := ours.read("child", "file"); got != "of base" {
		t.Errorf("file contains %q", got)
	}
}
