package drivertest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// apply applies a diff to a layer.
func (h *harness) apply(id string, diff []byte) error {
	_, err := drivers.Apply(h.Context(), h.driver, id, tar.NewReader(bytes.NewReader(diff)), archive.UnpackOptions{})
	return err
}

// changes returns the changes between two layers, sorted.
func (h *harness) changes(id, parent string) []model.Change {
	h.Helper()
	changes, err := drivers.Changes(h.Context(), h.driver, id, parent)
	if err != nil {
		h.Fatalf("changes of %q and %q: %v", id, parent, err)
	}
	if !slices.IsSortedFunc(changes, func(a, b model.Change) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) }) {
		h.Errorf("changes of %q and %q are not sorted: %v", id, parent, changes)
	}
	sortChanges(changes)
	return changes
}

// entries returns the names in a diff, sorted.
func (h *harness) entries(diff []byte) []string {
	h.Helper()
	names := []string{}
	for reader := tar.NewReader(bytes.NewReader(diff)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		h.must(err)
		names = append(names, header.Name)
	}
}

// whileMountedAndNot calls test with the layers mounted and then again with
// them unmounted.
func (h *harness) whileMountedAndNot(test func(when string), ids ...string) {
	h.Helper()
	for _, id := range ids {
		h.mount(id)
	}
	test("mounted")
	for _, id := range ids {
		h.unmount(id)
	}
	test("not mounted")
}

// TestChangesAreThoseThatWereMade as lists and as diffs, whether the layers
// are mounted or not.
func (s suite) TestChangesAreThoseThatWereMade(t *testing.T) {
	h := s.open(t)
	h.fixture()
	h.whileMountedAndNot(func(when string) {
		for id, parent := range map[string]string{"lower": "", "middle": "lower", "upper": "middle"} {
			if diff := cmp.Diff(changesOf(id), h.changes(id, parent)); diff != "" {
				t.Errorf("%s: changes of %s (-want +got):\n%s", when, id, diff)
			}
			if diff := cmp.Diff(h.entriesOf(id), h.entries(h.diff(id, parent))); diff != "" {
				t.Errorf("%s: diff of %s (-want +got):\n%s", when, id, diff)
			}
		}
	}, "lower", "middle", "upper")
}

// TestDiffsMakeTheSameLayersAgain, on other layers, mounted or not.
func (s suite) TestDiffsMakeTheSameLayersAgain(t *testing.T) {
	h := s.open(t)
	h.fixture()
	want := make(map[string]testutil.Listing)
	for _, id := range []string{"lower", "middle", "upper"} {
		want[id] = packable(h.snapshot(id))
	}
	for _, mounted := range []bool{false, true} {
		parent, previous := "", ""
		for _, id := range []string{"lower", "middle", "upper"} {
			copied := fmt.Sprintf("%s-%v", id, mounted)
			h.create(copied, previous)
			if mounted {
				h.mount(copied)
			}
			h.must(h.apply(copied, h.diff(id, parent)))
			if diff := cmp.Diff(want[id], packable(h.snapshot(copied))); diff != "" {
				t.Errorf("mounted %v: copy of %s differs from it (-):\n%s", mounted, id, diff)
			}
			if diff := cmp.Diff(changesOf(id), h.changes(copied, previous)); diff != "" {
				t.Errorf("mounted %v: changes of the copy of %s (-want +got):\n%s", mounted, id, diff)
			}
			parent, previous = id, copied
		}
	}
}

// TestDiffsHoldEveryKindOfFile that an archive can hold.
func (s suite) TestDiffsHoldEveryKindOfFile(t *testing.T) {
	h := s.open(t)
	h.chain("base", "child")
	h.inside("child", func(root string) { testutil.OddTreeWithout(t, root, s.traits.MaxName) })
	h.create("copy", "base")
	h.must(h.apply("copy", h.diff("child", "base")))
	want := packable(h.snapshot("child"))
	if diff := cmp.Diff(want, packable(h.snapshot("copy"))); diff != "" {
		t.Errorf("copy differs from the layer (-):\n%s", diff)
	}
	h.create("whole", "")
	h.must(h.apply("whole", h.diff("child", "")))
	if diff := cmp.Diff(want, packable(h.snapshot("whole"))); diff != "" {
		t.Errorf("copy without parent differs from the layer (-):\n%s", diff)
	}
}

// packable returns what an archive keeps of a tree: no sockets, no root
// directory, no times before 1970, of attributes only those of users and
// capabilities. The times of directories are left out because an archive has
// nothing to say about those in which something was only deleted.
func packable(tree testutil.Listing) testutil.Listing {
	kept := make(testutil.Listing)
	for name, entry := range tree {
		if name == "." || entry.Type == "socket" {
			continue
		}
		if entry.ModTime.Before(time.Unix(0, 0)) {
			entry.ModTime = time.Unix(0, 0).UTC()
		}
		if entry.Type == "dir" {
			entry.ModTime = time.Time{}
		}
		var xattrs map[string]string
		for key, value := range entry.Xattrs {
			if key == "security.capability" || len(key) > 5 && key[:5] == "user." {
				if xattrs == nil {
					xattrs = make(map[string]string)
				}
				xattrs[key] = value
			}
		}
		entry.Xattrs = xattrs
		kept[name] = entry
	}
	return kept
}

// TestAnyTwoLayersCanBeCompared also if they have nothing to do with each
// other.
func (s suite) TestAnyTwoLayersCanBeCompared(t *testing.T) {
	h := s.open(t)
	h.fixture()
	h.create("stranger", "")
	h.inside("stranger", func(root string) {
		writeFile(t, filepath.Join(root, "file3"), "another file3")
		writeFile(t, filepath.Join(root, "strange"), "file")
	})
	h.whileMountedAndNot(func(when string) {
		for _, pair := range [][2]string{
			{"upper", "lower"}, {"lower", "upper"}, {"upper", "stranger"}, {"stranger", "upper"}, {"middle", "upper"}, {"upper", ""}, {"upper", "upper"},
		} {
			id, parent := pair[0], pair[1]
			h.create("result", parent)
			h.must(h.apply("result", h.diff(id, parent)))
			if diff := cmp.Diff(packable(h.snapshot("result")), packable(h.viewed(id))); diff != "" {
				t.Errorf("%s: %q with the diff to %q (-) differs from that (+):\n%s", when, parent, id, diff)
			}
			h.remove("result")
		}
		if changes := h.changes("upper", "upper"); len(changes) > 0 {
			t.Errorf("%s: a layer differs from itself: %v", when, changes)
		}
		want := []model.Change{{Path: "/file3", Kind: model.ChangeModify}, {Path: "/strange", Kind: model.ChangeAdd}}
		got := h.changes("stranger", "lower")
		for _, change := range want {
			if !slices.Contains(got, change) {
				t.Errorf("%s: changes from lower to stranger lack %v", when, change)
			}
		}
	}, "upper", "stranger")
}

// look shows a layer without changing whether it is mounted.
func (h *harness) look(id string) (dir string, release func() error, err error) {
	path, mounted, err := h.driver.Mountpoint(h.Context(), id)
	if err != nil || mounted {
		return path, func() error { return nil }, err
	}
	path, err = h.driver.Mount(h.Context(), id, drivers.MountOptions{})
	return path, func() error { return h.driver.Unmount(context.WithoutCancel(h.Context()), id) }, err
}

// viewed lists the tree of a layer without changing whether it is mounted.
func (h *harness) viewed(id string) testutil.Listing {
	h.Helper()
	path, release, err := h.look(id)
	h.must(err)
	listing := testutil.Snapshot(h, path)
	h.must(release())
	return listing
}

// TestDiffMountsNothingForGood and unmounts nothing of others.
func (s suite) TestDiffMountsNothingForGood(t *testing.T) {
	h := s.open(t)
	h.fixture()
	h.create("stranger", "")
	h.mount("middle")
	before := h.mounts()
	for _, parent := range []string{"", "lower", "middle", "stranger"} {
		h.diff("upper", parent)
		h.changes("middle", parent)
	}
	if err := drivers.Diff(t.Context(), h.driver, "upper", "stranger", failingWriter{}); err == nil {
		t.Error("a writer that fails makes no error")
	}
	if diff := cmp.Diff(before, h.mounts()); diff != "" {
		t.Errorf("mounts before (-) and after (+):\n%s", diff)
	}
}

// TestDiffSizeCountsContentOnce and nothing that is not content.
func (s suite) TestDiffSizeCountsContentOnce(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) {
		writeFile(t, filepath.Join(root, "deleted"), "123456")
		writeFile(t, filepath.Join(root, "inherited"), "1234567")
	})
	h.create("child", "base")
	h.inside("child", func(root string) {
		h.must(os.MkdirAll(filepath.Join(root, "dir", "sub"), 0o755))
		writeFile(t, filepath.Join(root, "dir", "sub", "one"), "12345")
		h.must(os.Link(filepath.Join(root, "dir", "sub", "one"), filepath.Join(root, "two")))
		h.must(os.Symlink("a long target that is no content", filepath.Join(root, "link")))
		h.must(os.Remove(filepath.Join(root, "deleted")))
		writeFile(t, filepath.Join(root, "three"), "12")
	})
	h.whileMountedAndNot(func(when string) {
		for parent, want := range map[string]int64{"base": 7, "": 14, "child": 0} {
			got, err := drivers.DiffSize(t.Context(), h.driver, "child", parent)
			if err != nil || got != want {
				t.Errorf("%s: against %q: got %d, %v, want %d", when, parent, got, err, want)
			}
		}
	}, "child", "base")
}

// TestApplyMeasuresWhatItUnpacked.
func (s suite) TestApplyMeasuresWhatItUnpacked(t *testing.T) {
	h := s.open(t)
	h.fixture()
	diff := h.diff("middle", "lower")
	h.create("copy", "lower")
	got, err := drivers.Apply(t.Context(), h.driver, "copy", tar.NewReader(bytes.NewReader(diff)), archive.UnpackOptions{})
	h.must(err)
	want := archive.Unpacked{Size: int64(len("content of file4content of new2/filecontent of new2/sub/file")), Entries: 14}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestApplyToAMountedLayerShowsInTheMount.
func (s suite) TestApplyToAMountedLayerShowsInTheMount(t *testing.T) {
	h := s.open(t)
	h.fixture()
	h.create("copy", "lower")
	root := h.mount("copy")
	testutil.Snapshot(t, root) // the kernel remembers what it has read
	h.must(h.apply("copy", h.diff("middle", "lower")))
	for _, name := range []string{"file1", "dir2", "dir5/sub/sub/file"} {
		if _, err := os.Lstat(filepath.Join(root, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if diff := cmp.Diff(tree(t, h.mount("middle")), tree(t, root)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestApplyThatFailsLeavesALayerThatCanBeRemoved or filled again.
func (s suite) TestApplyThatFailsLeavesALayerThatCanBeRemoved(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) { testutil.Tree(t, root, 5) })
	diff := h.diff("base", "")
	h.create("copy", "")
	_, err := drivers.Apply(newImpatient(t.Context(), 20), h.driver, "copy", tar.NewReader(bytes.NewReader(diff)), archive.UnpackOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v, want Canceled", err)
	}
	if err := h.apply("copy", diff[:len(diff)/2]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: got %v, want ErrUnexpectedEOF", err)
	}
	h.must(h.apply("copy", diff))
	if diff := cmp.Diff(packable(h.snapshot("base")), packable(h.snapshot("copy"))); diff != "" {
		t.Errorf("copy differs from base (-):\n%s", diff)
	}
	h.remove("copy")
	h.wantLayers("base")
}

// TestContentIsReachedByNamesInTheDiff and nothing else is.
func (s suite) TestContentIsReachedByNamesInTheDiff(t *testing.T) {
	h := s.open(t)
	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, "of the host")
	h.chain("base", "layer")
	h.inside("layer", func(root string) {
		h.must(os.Mkdir(filepath.Join(root, "dir"), 0o755))
		writeFile(t, filepath.Join(root, "dir", "file"), "of layer")
		h.must(os.Symlink(secret, filepath.Join(root, "link")))
		h.must(os.Symlink(filepath.Dir(secret), filepath.Join(root, "way out")))
		h.must(unix.Mkfifo(filepath.Join(root, "fifo"), 0o600))
	})
	h.whileMountedAndNot(func(when string) {
		content, err := drivers.OpenContent(t.Context(), h.driver, "layer")
		h.must(err)
		for _, name := range []string{"dir/file", "./dir/file", "dir/../dir/file"} {
			file, err := content.Open(name)
			h.must(err)
			text, err := io.ReadAll(file)
			if err != nil || string(text) != "of layer" {
				t.Errorf("%s: %q contains %q, %v", when, name, text, err)
			}
			h.must(file.Close())
		}
		for _, name := range []string{"link", "way out/secret", "fifo", "dir", "missing", "../secret", secret, ""} {
			if file, err := content.Open(name); err == nil {
				t.Errorf("%s: %q could be opened: %s", when, name, file.Name())
			}
		}
		h.must(content.Close())
	}, "layer")
}
