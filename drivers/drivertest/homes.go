package drivertest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// homesIn returns configurations of drivers below dir, each of which has the
// homes of the ones before it and after it as those of other stores.
func homesIn(dir string, names ...string) []drivers.Config {
	configs := make([]drivers.Config, len(names))
	for i, name := range names {
		configs[i] = drivers.Config{Home: filepath.Join(dir, name, "home"), RunHome: filepath.Join(dir, name, "run")}
	}
	for i := range configs {
		for j := range configs {
			if j != i {
				configs[i].Others = append(configs[i].Others, configs[j].Home)
			}
		}
	}
	return configs
}

// openAll opens drivers that know of each other.
func (s suite) openAll(t testing.TB, dir string, names ...string) []*harness {
	t.Helper()
	var all []*harness
	for _, config := range homesIn(dir, names...) {
		all = append(all, s.openAt(t, config))
	}
	return all
}

// reading is everything that can be read of a layer.
type reading struct {
	Shown   testutil.Listing
	Diff    string
	Changes []model.Change
	Size    int64
	// Content and Tree are what a file of the layer itself contains by these
	// ways.
	Content, Tree string
}

// read everything of a layer, of which file is one of its own.
func (h *harness) reading(id, parent, file string) reading {
	h.Helper()
	exists, err := h.driver.Exists(h.Context(), id)
	h.must(err)
	if !exists {
		h.Errorf("layer %s does not exist", id)
	}
	got := reading{Shown: h.shown(id), Diff: string(h.diff(id, parent)), Changes: h.changes(id, parent)}
	got.Size, err = drivers.DiffSize(h.Context(), h.driver, id, parent)
	h.must(err)
	content, err := drivers.OpenContent(h.Context(), h.driver, id)
	h.must(err)
	opened, err := content.Open(file)
	h.must(err)
	text, err := io.ReadAll(opened)
	h.must(err)
	h.must(opened.Close())
	h.must(content.Close())
	got.Content = string(text)
	if driver, ok := h.driver.(drivers.TreeDriver); ok {
		tree, err := driver.Tree(h.Context(), id)
		h.must(err)
		got.Tree = h.readIn(tree, file)
		h.must(tree.Close())
	}
	return got
}

// shown lists the tree of a layer that is mounted read-only for it.
func (h *harness) shown(id string) testutil.Listing {
	h.Helper()
	path := h.mountReadOnly(id)
	listing := testutil.Snapshot(h, path)
	h.unmount(id)
	return listing
}

func (h *harness) mountReadOnly(id string) string {
	h.Helper()
	path, err := h.driver.Mount(h.Context(), id, drivers.MountOptions{ReadOnly: true})
	if err != nil {
		h.Fatalf("mounting layer %q read-only: %v", id, err)
	}
	return path
}

// fixtureReadings reads the layers of the fixture.
func (h *harness) fixtureReadings() map[string]reading {
	h.Helper()
	return map[string]reading{
		"lower": h.reading("lower", "", "file3"), "middle": h.reading("middle", "lower", "file4"), "upper": h.reading("upper", "middle", "file5"),
	}
}

// TestLayersOfOtherHomesAreReadAsInTheirOwn also on media that nobody could
// write to, and while another home does not exist.
func (s suite) TestLayersOfOtherHomesAreReadAsInTheirOwn(t *testing.T) {
	for _, kind := range testutil.Media() {
		t.Run(kind, func(t *testing.T) {
			dir := s.traits.Dir(t)
			var want map[string]reading
			medium := testutil.ReadOnly(t, kind, func(root string) {
				h := s.openAt(t, drivers.Config{Home: filepath.Join(root, "home"), RunHome: filepath.Join(dir, "first-run")})
				h.fixture()
				want = h.fixtureReadings()
			})
			before := testutil.Snapshot(t, medium)
			h := s.openAt(t, drivers.Config{
				Home: filepath.Join(dir, "home"), RunHome: filepath.Join(dir, "run"),
				Others: []string{filepath.Join(dir, "missing"), filepath.Join(medium, "home")},
			})
			open := len(names(t, "/proc/self/fd"))
			if diff := cmp.Diff(want, h.fixtureReadings()); diff != "" {
				t.Errorf("in their own home (-), from another one (+):\n%s", diff)
			}
			h.create("top", "upper")
			h.write("top", "file", "of top")
			if got := h.read("top", "file5"); got != "new content of file5" {
				t.Errorf("file of the layer below contains %q", got)
			}
			h.remove("top")
			if now := len(names(t, "/proc/self/fd")); now != open {
				t.Errorf("%d files are open, and were %d before", now, open)
			}
			h.wantLayers()
			if diff := cmp.Diff(before, testutil.Snapshot(t, medium)); diff != "" {
				t.Errorf("the other home has changed:\n%s", diff)
			}
			h.wantNoMountPoints("lower", "middle", "upper")
		})
	}
}

// wantNoMountPoints checks that nothing has been left of mounts of layers in
// other homes.
func (h *harness) wantNoMountPoints(ids ...string) {
	h.Helper()
	left, err := os.ReadDir(h.config.RunHome)
	if os.IsNotExist(err) {
		return
	}
	h.must(err)
	for _, entry := range left {
		if slices.Contains(ids, entry.Name()) {
			h.Errorf("%s is left of a mount", entry.Name())
		}
	}
}

// TestMountsOfLayersInOtherHomesAreLikeOthers but that they can only be read.
func (s suite) TestMountsOfLayersInOtherHomesAreLikeOthers(t *testing.T) {
	all := s.openAll(t, s.traits.Dir(t), "ours", "theirs")
	ours, theirs := all[0], all[1]
	theirs.create("base", "")
	theirs.write("base", "file", "of base")
	theirs.create("top", "base")
	ours.unmount("top") // what is not mounted
	path, mounted, err := ours.driver.Mountpoint(t.Context(), "top")
	ours.must(err)
	if first := ours.mountReadOnly("top"); mounted || first != path {
		t.Errorf("mount point is %s, mounted %v, and then %s", path, mounted, first)
	}
	if second := ours.mountReadOnly("top"); second != path {
		t.Errorf("mounted at %s and then at %s", path, second)
	}
	if got := readFile(t, filepath.Join(path, "file")); got != "of base" {
		t.Errorf("file contains %q", got)
	}
	if s.traits.NoMounts {
		return
	}
	if left := theirs.mounts(); len(left) > 0 {
		t.Errorf("mounted where the layer is: %q", left)
	}
	if _, mounted, err := ours.driver.Mountpoint(t.Context(), "top"); err != nil || !mounted {
		t.Errorf("mounted, the driver says %v, %v", mounted, err)
	}
	if err := os.WriteFile(filepath.Join(path, "new"), nil, 0o600); err == nil {
		t.Error("the mount can be written")
	}
	// It outlives the home that it is of.
	ours.must(os.Rename(theirs.config.Home, theirs.config.Home+"-away"))
	if _, mounted, err := ours.driver.Mountpoint(t.Context(), "top"); err != nil || !mounted {
		t.Errorf("without the other home, the driver says %v, %v", mounted, err)
	}
	ours.unmount("top")
	ours.must(os.Rename(theirs.config.Home+"-away", theirs.config.Home))
	ours.wantNoMountPoints("top")
	// Somebody else may have unmounted it, and a restart left the mount point.
	path = ours.mountReadOnly("top")
	ours.must(unix.Unmount(path, unix.MNT_DETACH))
	ours.unmount("top")
	ours.wantNoMountPoints("top")
}

// TestLayersAreStackedAcrossHomes in every direction, and their diffs are those
// of the same layers in a single home.
func (s suite) TestLayersAreStackedAcrossHomes(t *testing.T) {
	dir := s.traits.Dir(t)
	single := s.openAt(t, drivers.Config{Home: filepath.Join(dir, "single", "home"), RunHome: filepath.Join(dir, "single", "run")})
	single.fixture()
	all := s.openAll(t, dir, "first", "second", "third")
	layers := []struct{ id, parent string }{{"lower", ""}, {"middle", "lower"}, {"upper", "middle"}}
	for shift := range all {
		for i, layer := range layers {
			h := all[(i+shift)%len(all)]
			h.create(layer.id, layer.parent)
			h.must(h.apply(layer.id, single.diff(layer.id, layer.parent)))
		}
		for _, layer := range layers {
			want := packable(single.snapshot(layer.id))
			for i, h := range all {
				what := fmt.Sprintf("%s, shift %d, seen from %d", layer.id, shift, i)
				if diff := cmp.Diff(want, packable(h.shown(layer.id))); diff != "" {
					t.Errorf("%s: in a single home (-), here (+):\n%s", what, diff)
				}
				if diff := cmp.Diff(changesOf(layer.id), h.changes(layer.id, layer.parent)); diff != "" {
					t.Errorf("%s: changes (-want +got):\n%s", what, diff)
				}
				if got, want := h.diff(layer.id, layer.parent), single.diff(layer.id, layer.parent); string(got) != string(want) {
					t.Errorf("%s: diff is another one than in a single home: %q, want %q", what, h.entries(got), single.entries(want))
				}
			}
		}
		for i, layer := range layers {
			all[(i+shift)%len(all)].remove(layer.id)
		}
	}
}

// TestManyLayersAreStackedAcrossHomes whose paths are long, and mean something
// in mount options.
func (s suite) TestManyLayersAreStackedAcrossHomes(t *testing.T) {
	const layers = 30
	long := filepath.Join(s.traits.Dir(t), "long-"+string(slices.Repeat([]byte("x"), 150)))
	odd := "o:d,d\\"
	if s.traits.NoColons {
		odd = strings.ReplaceAll(odd, ":", "")
	}
	for _, place := range []string{"plain", odd} {
		all := s.openAll(t, filepath.Join(long, place), "first", "second", "third")
		parent := ""
		for i := range layers {
			h, id := all[i%len(all)], fmt.Sprint("layer", i)
			h.create(id, parent)
			h.write(id, id, "of "+id)
			parent = id
		}
		for _, h := range all {
			path := h.mountReadOnly(parent)
			for i := range layers {
				id := fmt.Sprint("layer", i)
				if got := readFile(t, filepath.Join(path, id)); got != "of "+id {
					t.Errorf("%s: file of %s contains %q", place, id, got)
				}
			}
			h.unmount(parent)
		}
	}
}
