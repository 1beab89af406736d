package drivertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/internal/testutil"
)

// TestDiffsCarryWhateverWasDone: two layers are changed at random through
// their mounts; their diffs, applied to new layers, give the same trees.
func (s suite) TestDiffsCarryWhateverWasDone(t *testing.T) {
	h := s.open(t)
	round, serial := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		parent, copyParent := "", ""
		for depth := range rapid.IntRange(1, 3).Draw(rt, "layers") {
			id := fmt.Sprintf("layer%d-%d", round, depth)
			copied := fmt.Sprintf("copy%d-%d", round, depth)
			h.create(id, parent)
			root := h.mount(id)
			if depth == 0 { // something to work with
				h.must(os.MkdirAll(filepath.Join(root, "a", "a"), 0o755))
				h.must(os.MkdirAll(filepath.Join(root, "b", "a"), 0o755))
			}
			for range rapid.IntRange(0, 20).Draw(rt, "operations") {
				serial++
				operation().Draw(rt, "operation").do(root, serial)
			}
			want := h.viewed(id)
			h.unmount(id)

			h.create(copied, copyParent)
			h.must(h.apply(copied, h.diff(id, parent)))
			if diff := cmp.Diff(carried(want), carried(h.snapshot(copied))); diff != "" {
				rt.Fatalf("at depth %d the copy (+) differs from the layer (-):\n%s", depth, diff)
			}
			parent, copyParent = id, copied
		}
		for _, id := range h.list() {
			h.remove(id)
		}
	})
}

// carried returns what a diff carries of a tree. Whether names belong to one
// file is known only within one layer, so it is left out here.
func carried(tree testutil.Listing) testutil.Listing {
	kept := packable(tree)
	for name, entry := range kept {
		entry.Link = ""
		kept[name] = entry
	}
	return kept
}

// change is something that is done to a tree.
type change struct {
	what        string
	name, other string
	number      int
}

// String describes the change when a test fails.
func (c change) String() string { return fmt.Sprintf("%s %s %s %d", c.what, c.name, c.other, c.number) }

// operation generates changes. There are few names, so that they meet.
func operation() *rapid.Generator[change] {
	names := rapid.SampledFrom([]string{"a", "b", "c", "a/a", "a/b", "b/a", "b/c", "a/a/a", "b/a/c"})
	return rapid.Custom(func(t *rapid.T) change {
		return change{
			what: rapid.SampledFrom([]string{
				"write", "write", "append", "mkdir", "mkdir", "remove", "remove", "rename", "link", "symlink", "fifo", "chmod", "chown", "xattr", "touch", "truncate",
			}).Draw(t, "what"),
			name:   names.Draw(t, "name"),
			other:  names.Draw(t, "other"),
			number: rapid.IntRange(0, 9999).Draw(t, "number"),
		}
	})
}

// do does it below root. It may well be impossible, and nothing is done then.
//
// What is changed gets a time that nothing else has: layers are compared by
// sizes and times of files where they have to be walked, and two files that
// are made within one tick of the kernel's clock may have the same of both.
func (c change) do(root string, serial int) {
	path, other := filepath.Join(root, c.name), filepath.Join(root, c.other)
	if !isDir(filepath.Dir(path)) { // opening a FIFO would block
		return
	}
	switch c.what {
	case "write":
		c.write(path, os.O_TRUNC, serial)
	case "append":
		c.write(path, os.O_APPEND, serial)
	case "mkdir":
		_ = os.Mkdir(path, 0o755)
	case "remove":
		_ = os.RemoveAll(path)
	case "rename":
		_ = os.Rename(path, other)
	case "link":
		_ = os.Link(path, other)
	case "symlink":
		_ = os.Symlink(c.other, path)
	case "fifo":
		_ = unix.Mkfifo(path, 0o600)
	case "chmod":
		_ = unix.Chmod(path, uint32(0o700|c.number%0o10000)) // tests need not be root
	case "chown":
		_ = os.Lchown(path, c.number, c.number/2)
	case "xattr":
		_ = unix.Lsetxattr(path, fmt.Sprint("user.number", c.number%3), []byte(fmt.Sprint(c.number)), 0)
	case "touch":
		touch(path, serial)
	case "truncate":
		if os.Truncate(path, int64(c.number)) == nil {
			touch(path, serial)
		}
	}
}

// touch gives a file a time that belongs to the serial number.
func touch(path string, serial int) {
	when := time.Date(2020, 1, 1, 0, 0, serial, serial, time.UTC)
	_ = os.Chtimes(path, when, when)
}

func (c change) write(path string, how, serial int) {
	// Not a FIFO, which would block.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o644)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(file, "%s %d", c.other, c.number)
	_ = file.Close()
	touch(path, serial)
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
