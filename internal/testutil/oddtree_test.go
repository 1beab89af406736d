package testutil_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

func TestOddTreeIsTheSameOnEveryFileSystem(t *testing.T) {
	var first testutil.Listing
	dirs := map[string]string{"tmpfs": testutil.Tmpfs(t)}
	for _, kind := range testutil.Filesystems() {
		dirs[kind] = testutil.SharedLoop(t, kind)
	}
	for kind, dir := range dirs {
		testutil.OddTree(t, dir)
		listing := testutil.Snapshot(t, dir)
		if first == nil {
			first = listing
		}
		if diff := cmp.Diff(first, listing); diff != "" {
			t.Errorf("on %s the tree differs:\n%s", kind, diff)
		}
	}
}

func TestOddTreeHasEverySortOfFile(t *testing.T) {
	testutil.NeedRoot(t)
	dir := t.TempDir()
	testutil.OddTree(t, dir)
	listing := testutil.Snapshot(t, dir)
	for what, is := range map[string]func(name string, e testutil.Entry) bool{
		"empty file":       func(_ string, e testutil.Entry) bool { return e.Type == "file" && e.Size == 0 },
		"large file":       func(_ string, e testutil.Entry) bool { return e.Size > 4<<20 },
		"character device": func(_ string, e testutil.Entry) bool { return e.Type == "char" && e.Rdev == "300:70000" },
		"block device":     func(_ string, e testutil.Entry) bool { return e.Type == "block" && e.Rdev == "259:300" },
		"FIFO":             func(_ string, e testutil.Entry) bool { return e.Type == "fifo" },
		"socket":           func(_ string, e testutil.Entry) bool { return e.Type == "socket" },
		"absolute link":    func(_ string, e testutil.Entry) bool { return strings.HasPrefix(e.Target, "/") },
		"link that leads out": func(_ string, e testutil.Entry) bool {
			return strings.HasPrefix(e.Target, strings.Repeat("../", 8))
		},
		"linked file": func(_ string, e testutil.Entry) bool { return e.Link != "" && e.Type == "file" },
		"linked FIFO": func(_ string, e testutil.Entry) bool { return e.Link != "" && e.Type == "fifo" },
		"linked link": func(_ string, e testutil.Entry) bool { return e.Link != "" && e.Type == "symlink" },
		"set-user-id": func(_ string, e testutil.Entry) bool {
			return e.Type == "file" && e.Mode&unix.S_ISUID != 0 && e.UID != 0
		},
		"set-group-id":       func(_ string, e testutil.Entry) bool { return e.Type == "dir" && e.Mode&unix.S_ISGID != 0 },
		"sticky":             func(_ string, e testutil.Entry) bool { return e.Type == "dir" && e.Mode&unix.S_ISVTX != 0 },
		"no permission":      func(_ string, e testutil.Entry) bool { return e.Type == "file" && e.Mode == 0 },
		"large owner":        func(_ string, e testutil.Entry) bool { return e.UID > 65535 && e.GID > 65535 },
		"owner of a link":    func(_ string, e testutil.Entry) bool { return e.Type == "symlink" && e.UID != 0 },
		"capability":         func(_ string, e testutil.Entry) bool { return e.Xattrs["security.capability"] != "" },
		"attribute":          func(_ string, e testutil.Entry) bool { return strings.Contains(e.Xattrs["user.bytes"], "\x00") },
		"folder's attribute": func(_ string, e testutil.Entry) bool { return e.Type == "dir" && len(e.Xattrs) > 0 },
		"before 1970":        func(_ string, e testutil.Entry) bool { return e.ModTime.Year() < 1969 },
		"after 2106":         func(_ string, e testutil.Entry) bool { return e.ModTime.Year() > 2106 },
		"nanoseconds":        func(_ string, e testutil.Entry) bool { return e.ModTime.Nanosecond()%1000 != 0 },
		"name not UTF-8":     func(name string, _ testutil.Entry) bool { return strings.Contains(name, "\xff") },
		"name of two lines":  func(name string, _ testutil.Entry) bool { return strings.Contains(name, "\n") },
		"name of 255 bytes":  func(name string, _ testutil.Entry) bool { return len(filepath.Base(name)) == 255 },
		"deep folder":        func(name string, _ testutil.Entry) bool { return strings.Count(name, "/") >= 100 },
	} {
		found := false
		for name, entry := range maps.All(listing) {
			found = found || is(name, entry)
		}
		if !found {
			t.Errorf("there is no %s", what)
		}
	}
}

func TestOddTreeHasHoles(t *testing.T) {
	for _, kind := range testutil.Filesystems() {
		dir := testutil.SharedLoop(t, kind)
		testutil.OddTree(t, dir)
		for name, size := range map[string]int64{"files/hole": 3 << 20, "files/sparse": 9<<20 + 1, "files/hole-first": 4<<20 + 1} {
			var stat unix.Stat_t
			if err := unix.Lstat(filepath.Join(dir, name), &stat); err != nil {
				t.Fatal(err)
			}
			if room := stat.Blocks * 512; stat.Size != size || room > size/2 {
				t.Errorf("%s on %s takes %d bytes of its %d, which should be %d", name, kind, room, stat.Size, size)
			}
		}
	}
}

func TestOddTreeWithoutRootHasWhatAUserCanMake(t *testing.T) {
	testutil.NeedRoot(t) // to compare with
	dir, userDir := t.TempDir(), t.TempDir()
	testutil.OddTree(t, dir)
	child := testutil.Child(t, "odd-tree", userDir)
	asRootOfNamespace(child)
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	want := testutil.Snapshot(t, dir)
	for name, entry := range want {
		entry.UID, entry.GID = 0, 0
		delete(entry.Xattrs, "security.capability")
		if len(entry.Xattrs) == 0 {
			entry.Xattrs = nil
		}
		if entry.Type == "file" || entry.Type == "dir" {
			entry.Mode |= 0o400
		}
		want[name] = entry
		if entry.Rdev != "" {
			delete(want, name)
		}
	}
	ignoreTimes := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".ModTime" }, cmp.Ignore())
	if diff := cmp.Diff(want, testutil.Snapshot(t, userDir), ignoreTimes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTreeDependsOnTheSeedAlone(t *testing.T) {
	seeds := []uint64{1, 1, 2}
	listings := make([]testutil.Listing, len(seeds))
	for i, seed := range seeds {
		dir := t.TempDir()
		testutil.Tree(t, dir, seed)
		listings[i] = testutil.Snapshot(t, dir)
	}
	if diff := cmp.Diff(listings[0], listings[1]); diff != "" {
		t.Errorf("the same seed gives another tree:\n%s", diff)
	}
	if cmp.Equal(listings[0], listings[2]) {
		t.Error("another seed gives the same tree")
	}
	types := make(map[string]int)
	for _, entry := range listings[0] {
		types[entry.Type]++
		if entry.Link != "" {
			types["linked"]++
		}
	}
	for _, kind := range []string{"file", "dir", "symlink", "linked"} {
		if types[kind] < 2 {
			t.Errorf("%d of type %s", types[kind], kind)
		}
	}
}

func TestGoTreeHasTheStandardLibrary(t *testing.T) {
	if _, err := os.Stat(filepath.Join(testutil.GoTree(t), "src", "archive", "tar", "reader.go")); err != nil {
		t.Error(err)
	}
}
