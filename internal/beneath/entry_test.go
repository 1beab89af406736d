package beneath_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// entryCalls are all methods that take the name of an entry.
var entryCalls = map[string]func(d *beneath.Dir, name string) error{
	"Stat":         func(d *beneath.Dir, name string) error { _, err := d.Stat(name); return err },
	"Create":       func(d *beneath.Dir, name string) error { _, err := d.Create(name); return err },
	"Mkdir":        func(d *beneath.Dir, name string) error { return d.Mkdir(name) },
	"Enter":        func(d *beneath.Dir, name string) error { _, err := d.Enter(name); return err },
	"Symlink":      func(d *beneath.Dir, name string) error { return d.Symlink("target", name) },
	"Readlink":     func(d *beneath.Dir, name string) error { _, err := d.Readlink(name); return err },
	"Mknod":        func(d *beneath.Dir, name string) error { return d.Mknod(name, unix.S_IFIFO|0o600, 0) },
	"Link":         func(d *beneath.Dir, name string) error { return d.Link(d, "file", name) },
	"Link from":    func(d *beneath.Dir, name string) error { return d.Link(d, name, "new") },
	"Remove":       func(d *beneath.Dir, name string) error { return d.Remove(name) },
	"RemoveTree":   func(d *beneath.Dir, name string) error { return d.RemoveTree(nil, name) }, //nolint:staticcheck // Refused before the context is looked at.
	"Chown":        func(d *beneath.Dir, name string) error { return d.Chown(name, 1, 1) },
	"Chmod":        func(d *beneath.Dir, name string) error { return d.Chmod(name, 0o777) },
	"Chtimes":      func(d *beneath.Dir, name string) error { return d.Chtimes(name, unix.Timespec{}, unix.Timespec{}) },
	"SetXattr":     func(d *beneath.Dir, name string) error { return d.SetXattr(name, "user.x", nil) },
	"RemoveXattr":  func(d *beneath.Dir, name string) error { return d.RemoveXattr(name, "user.x") },
	"Xattrs":       func(d *beneath.Dir, name string) error { _, err := d.Xattrs(name); return err },
	"Xattr":        func(d *beneath.Dir, name string) error { _, err := d.Xattr(name, "user.x"); return err },
	"RegularEntry": func(d *beneath.Dir, name string) error { _, err := d.RegularEntry(name); return err },
}

func TestEntriesAreSingleComponents(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/dir")
	write(t, root+"/file", "")
	write(t, root+"/dir/file", "")
	before := testutil.Snapshot(t, outside)
	dir := open(t, root)
	for method, call := range entryCalls {
		for _, name := range []string{"", "..", "../outside/secret", "dir/file", "/etc/passwd", "file/", "a\x00b"} {
			if err := call(dir, name); !errors.Is(err, model.ErrInvalid) {
				t.Errorf("%s(%q): got %v, want %v", method, name, err, model.ErrInvalid)
			}
		}
	}
	if diff := cmp.Diff(before, testutil.Snapshot(t, outside)); diff != "" {
		t.Errorf("changed outside: %s", diff)
	}
}

func TestEntriesAreNotFollowed(t *testing.T) {
	testutil.NeedRoot(t)
	root, outside := house(t)
	symlink(t, outside+"/secret", root+"/link")
	before := testutil.Snapshot(t, outside)
	dir := open(t, root)
	for _, method := range []string{"Stat", "Chown", "Chtimes", "Readlink", "Xattrs", "Link from"} {
		if err := entryCalls[method](dir, "link"); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, method := range []string{"Create", "Mkdir", "Enter", "Symlink", "Mknod", "Chmod", "SetXattr", "RemoveXattr", "Xattr", "RegularEntry"} {
		if err := entryCalls[method](dir, "link"); err == nil {
			t.Errorf("%s: no error", method)
		}
	}
	if diff := cmp.Diff(before, testutil.Snapshot(t, outside)); diff != "" {
		t.Errorf("changed outside: %s", diff)
	}
	stat, err := dir.Stat("new")
	if err != nil || stat.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("Link made a link to the target: %v", err)
	}
	if err := dir.Remove("link"); err != nil || !exists(t, outside+"/secret") {
		t.Errorf("Remove: %v", err)
	}
}

func TestDotIsTheDirectoryItself(t *testing.T) {
	testutil.NeedRoot(t)
	root, _ := house(t)
	dir := open(t, root)
	when := unix.Timespec{Sec: 1_000_000_000, Nsec: 123_456_789}
	if err := errors.Join(dir.Chown(".", 12, 13), dir.Chmod(".", 0o2751), dir.SetXattr(".", "user.x", []byte("y")),
		dir.Chtimes(".", when, when)); err != nil {
		t.Fatal(err)
	}
	got := testutil.Snapshot(t, root)["."]
	if got.UID != 12 || got.GID != 13 || got.Mode != 0o2751 || got.Xattrs["user.x"] != "y" || got.ModTime.UnixNano() != when.Nano() {
		t.Error(got)
	}
}

func TestXattrsOfAnySize(t *testing.T) {
	root := testutil.SharedLoop(t, "xfs") // which takes values of 64 KiB
	write(t, root+"/file", "")
	dir := open(t, root)
	want := map[string]string{}
	for _, size := range []int{0, 1, 255, 256, 257, 5000, 1 << 16} {
		name := "user." + strings.Repeat("n", 1+size%200)
		want[name] = strings.Repeat("v", size)
		if err := dir.SetXattr("file", name, []byte(want[name])); err != nil {
			t.Fatal(err)
		}
	}
	names, err := dir.Xattrs("file")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range names {
		value, err := dir.Xattr("file", name)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := dir.Xattr("file", "user.none"); !errors.Is(err, unix.ENODATA) {
		t.Errorf("got %v, want %v", err, unix.ENODATA)
	}
}
