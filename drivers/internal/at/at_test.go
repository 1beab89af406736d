package at_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// open opens an empty directory.
func open(t *testing.T) (dir *at.Dir, path string) {
	t.Helper()
	path = t.TempDir()
	dir, err := at.Open(path)
	must(t, err)
	t.Cleanup(func() { must(t, dir.Close()) })
	return dir, path
}

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir, path := open(t)
	must(t, dir.Mkdir("dir", 0o3757, os.Geteuid(), os.Getegid()))
	must(t, dir.WriteFile("file", []byte("content"), 0o646))
	for name, want := range map[string]uint32{"dir": 0o3757, "file": 0o646} {
		stat, err := dir.Stat(name)
		must(t, err)
		if stat.Mode&0o7777 != want {
			t.Errorf("%s has mode %o, want %o", name, stat.Mode, want)
		}
	}
	if content, err := os.ReadFile(filepath.Join(path, "file")); err != nil || string(content) != "content" {
		t.Errorf("file contains %q, %v", content, err)
	}
}

func TestMkdirSetsTheOwner(t *testing.T) {
	testutil.NeedRoot(t)
	dir, _ := open(t)
	must(t, dir.Mkdir("dir", 0o2755, 12, 34))
	stat, err := dir.Stat("dir")
	must(t, err)
	if stat.Uid != 12 || stat.Gid != 34 || stat.Mode&0o7777 != 0o2755 {
		t.Errorf("got %d:%d %o", stat.Uid, stat.Gid, stat.Mode)
	}
}

func TestSubGoesDownWithoutLinks(t *testing.T) {
	dir, path := open(t)
	must(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
	must(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	must(t, os.Symlink("a", filepath.Join(path, "link")))
	must(t, os.Symlink("/", filepath.Join(path, "a", "root")))
	sub, err := dir.Sub("a/b")
	must(t, err)
	if got, want := sub.Path("x"), filepath.Join(path, "a", "b", "x"); got != want {
		t.Errorf("path is %s, want %s", got, want)
	}
	must(t, sub.Close())
	for name, want := range map[string]error{
		"link": model.ErrCorrupt, "link/b": model.ErrCorrupt, "a/root": model.ErrCorrupt, "file": model.ErrCorrupt,
		"..": unix.EXDEV, "a/../..": unix.EXDEV, "/": unix.EXDEV, "missing": fs.ErrNotExist,
	} {
		if sub, err := dir.Sub(name); !errors.Is(err, want) {
			t.Errorf("%s: got %v, %v, want %v", name, sub, err, want)
		}
	}
}

func TestFilesAreReadOnlyIfTheyAreFilesAndSmall(t *testing.T) {
	dir, path := open(t)
	must(t, os.WriteFile(filepath.Join(path, "file"), []byte("12345"), 0o600))
	must(t, os.Symlink("file", filepath.Join(path, "link")))
	must(t, os.Mkdir(filepath.Join(path, "dir"), 0o700))
	must(t, unix.Mkfifo(filepath.Join(path, "fifo"), 0o600))
	if content, err := dir.ReadFile("file", 5); err != nil || string(content) != "12345" {
		t.Errorf("got %q, %v", content, err)
	}
	for _, name := range []string{"link", "dir", "fifo"} {
		if content, err := dir.ReadFile(name, 100); !errors.Is(err, model.ErrCorrupt) {
			t.Errorf("%s: got %q, %v, want ErrCorrupt", name, content, err)
		}
	}
	if _, err := dir.ReadFile("file", 4); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("too long: got %v, want ErrCorrupt", err)
	}
	if _, err := dir.ReadFile("missing", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want ErrNotExist", err)
	}
}

func TestTargetsOfLinksAreLimited(t *testing.T) {
	dir, path := open(t)
	must(t, os.Symlink(strings.Repeat("x", 30), filepath.Join(path, "link")))
	must(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	if target, err := dir.Target("link", 30); err != nil || target != strings.Repeat("x", 30) {
		t.Errorf("got %q, %v", target, err)
	}
	if target, err := dir.Target("link", 29); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("too long: got %q, %v, want ErrCorrupt", target, err)
	}
	if target, err := dir.Target("file", 30); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("a file: got %q, %v, want ErrCorrupt", target, err)
	}
	if _, err := dir.Target("missing", 30); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want ErrNotExist", err)
	}
}

func TestRenameNewReplacesNothing(t *testing.T) {
	dir, path := open(t)
	must(t, dir.WriteFile("a", []byte("a"), 0o600))
	must(t, dir.WriteFile("b", []byte("b"), 0o600))
	if err := dir.RenameNew("a", "b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	if err := dir.RenameNew("missing", "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
	must(t, dir.RenameNew("a", "c"))
	must(t, dir.Rename("c", "b"))
	if content, err := os.ReadFile(filepath.Join(path, "b")); err != nil || string(content) != "a" {
		t.Errorf("b contains %q, %v", content, err)
	}
	must(t, dir.Remove("b"))
	must(t, dir.Remove("b"))
	if entries, err := dir.Entries(); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestEntriesCanBeReadAgain(t *testing.T) {
	dir, _ := open(t)
	for _, name := range []string{"b", "c", "a"} {
		must(t, dir.WriteFile(name, nil, 0o600))
	}
	for range 2 {
		entries, err := dir.Entries()
		must(t, err)
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		if got := strings.Join(names, ""); got != "abc" {
			t.Errorf("got %q", got)
		}
	}
}

func TestMountPointsAreRecognized(t *testing.T) {
	testutil.NeedRoot(t)
	dir, path := open(t)
	for _, name := range []string{"mounted", "not", "inside"} {
		must(t, os.Mkdir(filepath.Join(path, name), 0o700))
	}
	must(t, os.Symlink("mounted", filepath.Join(path, "link")))
	// The same file system, so that only the mount makes a difference.
	must(t, unix.Mount(filepath.Join(path, "inside"), filepath.Join(path, "mounted"), "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(path, "mounted"), unix.MNT_DETACH)) })
	for name, want := range map[string]bool{"mounted": true, "not": false, "missing": false} {
		if got, err := dir.IsMountPoint(name); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
	if got, err := dir.IsMountPoint("link"); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("a link: got %v, %v, want ErrCorrupt", got, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
