package drivertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// TestChildSeesItsParentAndNotTheReverse also for siblings.
func (s suite) TestChildSeesItsParentAndNotTheReverse(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.write("base", "inherited", "of base")
	h.create("first", "base")
	h.create("second", "base")
	h.inside("first", func(root string) {
		writeFile(t, filepath.Join(root, "inherited"), "changed by first")
		writeFile(t, filepath.Join(root, "own"), "of first")
	})
	for _, id := range []string{"base", "second"} {
		h.inside(id, func(root string) {
			if got := names(t, root); !slices.Equal(got, []string{"inherited"}) {
				t.Errorf("%s contains %q", id, got)
			}
			if got := readFile(t, filepath.Join(root, "inherited")); got != "of base" {
				t.Errorf("%s has a file %q", id, got)
			}
		})
	}
	if got := h.read("first", "inherited"); got != "changed by first" {
		t.Errorf("first has a file %q", got)
	}
}

// TestLayersMayBeDeep: each layer adds a file, changes one and deletes one.
func (s suite) TestLayersMayBeDeep(t *testing.T) {
	h := s.open(t)
	parent := ""
	for depth := 1; depth <= 128; depth++ {
		id := fmt.Sprintf("layer%d", depth)
		h.create(id, parent)
		parent = id
		root := h.mount(id)
		if depth > 2 {
			h.must(os.Remove(filepath.Join(root, fmt.Sprint(depth-2))))
		}
		writeFile(t, filepath.Join(root, fmt.Sprint(depth)), id)
		writeFile(t, filepath.Join(root, "last"), id)
		if depth > 3 && depth < 126 {
			h.unmount(id)
			continue
		}
		want := []string{fmt.Sprint(depth), "last"}
		if depth > 1 {
			want = append(want, fmt.Sprint(depth-1))
		}
		slices.Sort(want)
		if got := names(t, root); !slices.Equal(got, want) {
			t.Errorf("at depth %d there are %q, want %q", depth, got, want)
		}
		if got := readFile(t, filepath.Join(root, "last")); got != id {
			t.Errorf("at depth %d the last layer seems to be %q", depth, got)
		}
		h.unmount(id)
	}
}

// TestMountSaysHowDeepIsTooDeep where there is a limit. Layers beyond it can
// be made all the same, for instance to be exported.
func (s suite) TestMountSaysHowDeepIsTooDeep(t *testing.T) {
	if s.traits.MaxDepth == 0 {
		t.Skip("there is no limit")
	}
	h := s.open(t)
	parent := ""
	for depth := range s.traits.MaxDepth + 2 {
		id := fmt.Sprintf("layer%d", depth)
		h.create(id, parent)
		if depth == 0 {
			h.write(id, "file", "from the bottom")
		}
		parent = id
	}
	if got := h.read(fmt.Sprintf("layer%d", s.traits.MaxDepth), "file"); got != "from the bottom" {
		t.Errorf("file contains %q", got)
	}
	deepest := fmt.Sprintf("layer%d", s.traits.MaxDepth)
	for id, opts := range map[string]drivers.MountOptions{parent: {}, deepest: {ReadOnly: true}} {
		_, err := h.driver.Mount(t.Context(), id, opts)
		if id == deepest && err == nil {
			continue // there is room for the layer itself among those below
		}
		if !errors.Is(err, model.ErrUnsupported) || !strings.Contains(fmt.Sprint(err), "max depth exceeded") ||
			!strings.Contains(fmt.Sprint(err), fmt.Sprint(s.traits.MaxDepth)) {
			t.Errorf("%s: got %v, want ErrUnsupported and the limit", id, err)
		}
	}
}

// TestEveryKindOfFileIsInherited with all that can be said about it.
func (s suite) TestEveryKindOfFileIsInherited(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) { testutil.OddTreeWithout(t, root, s.traits.MaxName) })
	h.create("child", "base")
	h.create("grandchild", "child")
	snapshot := func(id string) testutil.Listing {
		listing := h.snapshot(id)
		// A layer's root directory is its own, and new.
		root := listing["."]
		root.ModTime = time.Time{}
		listing["."] = root
		return listing
	}
	want := snapshot("base")
	if len(want) < 50 {
		t.Fatalf("the tree has only %d files", len(want))
	}
	for _, id := range []string{"child", "grandchild"} {
		if diff := cmp.Diff(want, snapshot(id)); diff != "" {
			t.Errorf("%s differs from base (-):\n%s", id, diff)
		}
	}
}

// TestHolesAreInherited: they may be larger than the disk.
func (s suite) TestHolesAreInherited(t *testing.T) {
	const size = 1 << 40
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) {
		file, err := os.Create(filepath.Join(root, "sparse"))
		h.must(err)
		for _, at := range []int64{3 << 20, size/2 + 1, size - 2} {
			_, err := file.WriteAt([]byte("x"), at)
			h.must(err)
		}
		h.must(file.Close())
	})
	h.create("child", "base")
	h.inside("child", func(root string) {
		path := filepath.Join(root, "sparse")
		if stat := lstat(t, path); stat.Size != size-1 || stat.Blocks > 2048 {
			t.Errorf("file has %d bytes in %d blocks", stat.Size, stat.Blocks)
		}
		file, err := os.Open(path)
		h.must(err)
		for at, want := range map[int64]byte{3<<20 - 1: 0, 3 << 20: 'x', size/2 + 1: 'x', size / 2: 0, size - 2: 'x'} {
			var got [1]byte
			_, err := file.ReadAt(got[:], at)
			h.must(err)
			if got[0] != want {
				t.Errorf("at %d there is %q, want %q", at, got[0], want)
			}
		}
		h.must(file.Close())
	})
}

// TestDeletionsHideWhatIsBelow also when something else takes the name.
func (s suite) TestDeletionsHideWhatIsBelow(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) {
		for _, name := range []string{"gone", "replaced", "remade"} {
			h.must(os.Mkdir(filepath.Join(root, name), 0o755))
			writeFile(t, filepath.Join(root, name, "below"), "of base")
		}
		writeFile(t, filepath.Join(root, "file"), "of base")
		writeFile(t, filepath.Join(root, "file that becomes a directory"), "of base")
	})
	h.create("child", "base")
	h.inside("child", func(root string) {
		for _, name := range []string{"gone", "replaced", "remade", "file", "file that becomes a directory"} {
			h.must(os.RemoveAll(filepath.Join(root, name)))
		}
		writeFile(t, filepath.Join(root, "replaced"), "a file now")
		for _, name := range []string{"remade", "file that becomes a directory"} {
			h.must(os.Mkdir(filepath.Join(root, name), 0o755))
		}
	})
	h.create("grandchild", "child")
	want := []string{"file that becomes a directory/", "remade/", "replaced"}
	for _, id := range []string{"child", "grandchild"} {
		h.inside(id, func(root string) {
			if got := tree(t, root); !slices.Equal(got, want) {
				t.Errorf("%s contains %q, want %q", id, got, want)
			}
		})
	}
}

// TestRenamesAreChangesLikeOthers. A directory from below need not be
// renamable: programs copy where the kernel refuses it.
func (s suite) TestRenamesAreChangesLikeOthers(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) {
		h.must(os.MkdirAll(filepath.Join(root, "dir", "sub"), 0o755))
		writeFile(t, filepath.Join(root, "dir", "sub", "file"), "of base")
		writeFile(t, filepath.Join(root, "old"), "of base")
		writeFile(t, filepath.Join(root, "target"), "overwritten")
	})
	h.create("child", "base")
	h.inside("child", func(root string) {
		h.must(os.Rename(filepath.Join(root, "old"), filepath.Join(root, "target")))
		h.must(os.Mkdir(filepath.Join(root, "new"), 0o755))
		h.must(os.Rename(filepath.Join(root, "dir", "sub", "file"), filepath.Join(root, "new", "file")))
		h.must(os.Rename(filepath.Join(root, "new"), filepath.Join(root, "renamed")))
		err := os.Rename(filepath.Join(root, "dir"), filepath.Join(root, "moved"))
		if errors.Is(err, unix.EXDEV) {
			h.must(os.MkdirAll(filepath.Join(root, "moved", "sub"), 0o755))
			err = os.RemoveAll(filepath.Join(root, "dir"))
		}
		h.must(err)
	})
	h.create("grandchild", "child")
	h.inside("grandchild", func(root string) {
		want := []string{"moved/", "moved/sub/", "renamed/", "renamed/file", "target"}
		if got := tree(t, root); !slices.Equal(got, want) {
			t.Errorf("tree is %q, want %q", got, want)
		}
		if got := readFile(t, filepath.Join(root, "target")); got != "of base" {
			t.Errorf("renamed file contains %q", got)
		}
	})
}

// TestNamesOfOneFileStayTogether in the layer that gave it its names.
func (s suite) TestNamesOfOneFileStayTogether(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) {
		writeFile(t, filepath.Join(root, "one"), "of base")
		h.must(os.Mkdir(filepath.Join(root, "dir"), 0o755))
		h.must(os.Link(filepath.Join(root, "one"), filepath.Join(root, "dir", "two")))
	})
	h.create("child", "base")
	h.inside("child", func(root string) {
		one, two := filepath.Join(root, "one"), filepath.Join(root, "dir", "two")
		if lstat(t, one).Ino != lstat(t, two).Ino {
			t.Error("the names are those of two files")
		}
		writeFile(t, one, "changed in child")
		want := "changed in child"
		if s.traits.LinksBreak {
			want = "of base"
		}
		if got := readFile(t, two); got != want {
			t.Errorf("file contains %q under its other name, want %q", got, want)
		}
	})
	if got := h.read("base", "dir/two"); got != "of base" {
		t.Errorf("file in base contains %q", got)
	}
}

// names returns the names in a directory, sorted.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// tree returns the paths of all files in a tree, sorted, those of directories
// with a slash at the end.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	for name, entry := range testutil.Snapshot(t, dir) {
		if entry.Type == "dir" {
			name += "/"
		}
		if name != "./" {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
