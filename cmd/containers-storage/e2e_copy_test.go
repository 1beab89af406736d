package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

// makeTree makes a directory that has a file of each sort.
func (s script) makeTree(t *testing.T, dir string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.MkdirAll(in("sub/deep"), 0o750); err != nil {
		t.Fatal(err)
	}
	writeFile(t, in("sub/file"), "text")
	old := time.Unix(1500000000, 123456789)
	err := errors.Join(
		os.Chmod(in("sub/file"), 0o640|os.ModeSetgid), os.Lchown(in("sub/file"), 5, 6), os.Chmod(in("sub/file"), 0o640|os.ModeSetgid),
		os.Link(in("sub/file"), in("linked")), os.Symlink("sub/file", in("soft")), os.Lchown(in("soft"), 7, 8),
		unix.Mkfifo(in("fifo"), 0o600), unix.Mknod(in("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))),
		unix.Mknod(in("socket"), unix.S_IFSOCK|0o600, 0),
		os.Chtimes(in("sub/file"), old, old), os.Chtimes(in("sub"), old, old),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// wantTree looks whether a directory has what makeTree made. If owner is not -1
// all of it belongs to that user and group.
func wantTree(t *testing.T, dir string, owner int) {
	t.Helper()
	for name, want := range map[string]struct {
		mode     uint32
		uid, gid int
	}{
		"sub":      {unix.S_IFDIR | 0o750, 0, 0},
		"sub/deep": {unix.S_IFDIR | 0o750, 0, 0},
		"sub/file": {unix.S_IFREG | 0o2640, 5, 6},
		"linked":   {unix.S_IFREG | 0o2640, 5, 6},
		"soft":     {unix.S_IFLNK | 0o777, 7, 8},
		"fifo":     {unix.S_IFIFO | 0o600, 0, 0},
		"null":     {unix.S_IFCHR | 0o600, 0, 0},
	} {
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &stat); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if owner != -1 {
			want.uid, want.gid = owner, owner
		}
		if stat.Mode != want.mode || int(stat.Uid) != want.uid || int(stat.Gid) != want.gid {
			t.Errorf("%s: mode %o of %d:%d, want %+v", name, stat.Mode, stat.Uid, stat.Gid, want)
		}
		if strings.HasPrefix(name, "sub/f") && (stat.Nlink != 2 || stat.Mtim.Nano() != 1500000000123456789) {
			t.Errorf("%s: %d links, time %d", name, stat.Nlink, stat.Mtim.Nano())
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "socket")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
}

// wantFile compares the content of a file.
func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s has %q, %v; want %q", path, got, err, want)
	}
}

func TestScriptCopiesTrees(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		s.makeTree(t, s.path("tree"))
		s.ok(t, "import-layer", "-i", "lower", "-f", testFile(t, "base.tar"))
		s.ok(t, "create-layer", "-i", "one", "lower")
		s.ok(t, "create-layer", "-i", "two")
		// What is there stays, unless it has the name of a copy.
		s.onMount(t, "one", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "to"), 0o700), os.WriteFile(filepath.Join(dir, "to/kept"), []byte("kept"), 0o600),
				os.WriteFile(filepath.Join(dir, "to/soft"), nil, 0o600))
		})
		s.wantOutput(t, "", "copy", s.path("tree"), "one:/to")
		s.wantOutput(t, "", "copy", "one:to", "two:/new/dir")
		s.wantOutput(t, "", "copy", "--chown", "9", "two:/new", "tree/linked", "two:/mine/")
		s.wantOutput(t, "", "copy", "two:/new/dir", "back")
		for layer, dir := range map[string]string{"one": "to", "two": "new/dir"} {
			s.onMount(t, layer, func(mount string) error {
				wantTree(t, filepath.Join(mount, dir), -1)
				wantFile(t, filepath.Join(mount, dir, "kept"), "kept")
				return nil
			})
		}
		s.onMount(t, "two", func(mount string) error {
			wantTree(t, filepath.Join(mount, "mine/dir"), 9)
			wantFile(t, filepath.Join(mount, "mine/linked"), "text")
			return errors.Join(wantOwner(mount, 0, 0), wantOwner(filepath.Join(mount, "mine"), 9, 9))
		})
		wantTree(t, s.path("back"), -1)
		s.wantOutput(t, "", "mounted", "lower", "one", "two")
	})
}

// wantOwner returns an error if a file belongs to others.
func wantOwner(path string, uid, gid uint32) error {
	var stat unix.Stat_t
	err := unix.Lstat(path, &stat)
	if err == nil && (stat.Uid != uid || stat.Gid != gid) {
		err = errors.New(path + ": wrong owner")
	}
	return err
}

func TestScriptCopiesFiles(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		s.ok(t, "create-layer", "-i", "layer")
		s.file(t, "one", "1")
		s.file(t, "two", "2")
		s.wantOutput(t, "", "copy", "--chown=3:4", "one", "layer:/a/b/file")
		s.wantOutput(t, "", "copy", "one", "two", "layer:/a/")
		s.wantOutput(t, "", "copy", "one", "two", "layer:/last") // each as the target
		s.wantFailure(t, "is a directory", "copy", "one", "layer:/a")
		s.makeTree(t, s.path("tree"))
		s.wantOutput(t, "", "copy", "tree/fifo", "layer:/fifo")
		s.wantFailure(t, "not supported", "copy", "tree/socket", "layer:/socket")
		s.onMount(t, "layer", func(mount string) error {
			wantFile(t, filepath.Join(mount, "a/b/file"), "1")
			wantFile(t, filepath.Join(mount, "a/one"), "1")
			wantFile(t, filepath.Join(mount, "a/two"), "2")
			wantFile(t, filepath.Join(mount, "last"), "2")
			info, err := os.Lstat(filepath.Join(mount, "fifo"))
			if err != nil || info.Mode().Type() != fs.ModeNamedPipe {
				t.Errorf("the FIFO: %v, %v", info, err)
			}
			return errors.Join(wantOwner(filepath.Join(mount, "a/b/file"), 3, 4), wantOwner(filepath.Join(mount, "a/b"), 3, 4), wantOwner(filepath.Join(mount, "a/one"), 0, 0))
		})
	})
}

// A layer is not to be trusted: its links, absolute or with "..", lead to places
// in it, wherever in a path they stand.
func TestScriptCopiesNothingOutOfOrIntoTheHostByLinks(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		host := s.path("host")
		if err := os.Mkdir(host, 0o755); err != nil {
			t.Fatal(err)
		}
		s.file(t, "host/secret", "secret")
		s.ok(t, "create-layer", "-i", "layer")
		s.onMount(t, "layer", func(mount string) error {
			return errors.Join(
				os.Symlink(host, filepath.Join(mount, "abs")),
				os.Symlink(strings.Repeat("../", 40)+host, filepath.Join(mount, "rel")),
				os.Symlink(host+"/secret", filepath.Join(mount, "file")),
				os.WriteFile(filepath.Join(mount, "inside"), []byte("inside"), 0o600),
				os.Symlink("/inside", filepath.Join(mount, "good")),
				os.Symlink("/proc/self/root"+host, filepath.Join(mount, "magic")),
			)
		})
		up := strings.Repeat("/..", 40) + host
		for _, from := range []string{"layer:/abs", "layer:/rel", "layer:/abs/secret", "layer:/rel/secret", "layer:/file", "layer:" + up, "layer:/magic/secret"} {
			s.wantFailure(t, "no such file", "copy", from, "out")
		}
		s.wantOutput(t, "", "copy", "layer:good", "good")
		wantFile(t, s.path("good"), "inside")
		s.file(t, "new", "new")
		for i, to := range []string{"layer:/abs/1", "layer:/rel/2", "layer:/abs/sub/", "layer:" + up + "/3", "layer:/file"} {
			if output, status := s.try(t, "copy", "new", to); status != 0 {
				t.Errorf("%d: %s", i, output)
			}
		}
		s.makeTree(t, s.path("tree"))
		s.wantOutput(t, "", "copy", "tree", "layer:/rel")
		s.onMount(t, "layer", func(mount string) error {
			for _, name := range []string{"1", "2", "3", "sub/new"} {
				wantFile(t, filepath.Join(mount, host, name), "new")
			}
			wantFile(t, filepath.Join(mount, "file"), "new") // in place of the link
			wantTree(t, filepath.Join(mount, host), -1)
			return nil
		})
		entries, err := os.ReadDir(host)
		if err != nil || len(entries) != 1 {
			t.Errorf("the directory of the host has %v, %v", entries, err)
		}
		wantFile(t, s.path("host/secret"), "secret")
	})
}

// A device of these numbers would be a deletion for whoever unpacks it.
func TestScriptDeletesNothingByCopying(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-layer", "-i", "layer")
		s.ok(t, "copy", s.file(t, "a", "kept"), "layer:/a")
		for i, whiteout := range []string{"a", ".wh.a"} {
			dir := s.path([]string{"device", "file"}[i])
			err := errors.Join(os.Mkdir(dir, 0o755), unix.Mknod(filepath.Join(dir, whiteout), []uint32{unix.S_IFCHR, unix.S_IFREG}[i], 0))
			if err != nil {
				t.Fatal(err)
			}
			s.fails(t, "copy", dir, "layer:/")
		}
		s.onMount(t, "layer", func(mount string) error {
			wantFile(t, filepath.Join(mount, "a"), "kept")
			return nil
		})
	})
}

// The mounts of others stay.
func TestScriptUnmountsWhatItCopied(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-layer", "-i", "used")
		s.ok(t, "create-layer", "-i", "free")
		s.line(t, "mount", "used")
		mounts := func() []string { return lines(s.ok(t, "mounted", "used", "free")) }
		want := mounts()
		s.file(t, "text", "text")
		s.ok(t, "copy", "text", "used:/a")
		s.ok(t, "copy", "used:/a", "free:/a")
		s.fails(t, "copy", "used:/nosuch", "free:/a")
		s.fails(t, "copy", "used:/a", "nosuch:/a")
		if got := mounts(); len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("mounted are %q instead of %q", got, want)
		}
	})
}

func TestScriptUnmountsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-layer", "-i", "layer")
		big := s.file(t, "big", "")
		if err := os.Truncate(big, 4<<40); err != nil { // more than can be read
			t.Fatal(err)
		}
		child := s.command(t, "copy", "big", "layer:/big")
		var stderr strings.Builder
		child.Stderr = &stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		testutil.Eventually(t, "the copy has begun", func() bool {
			begun, err := filepath.Glob(filepath.Join(s.root, "*/*/*/big"))
			return err == nil && len(begun) > 0
		})
		if err := child.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "interrupt") {
			t.Errorf("%v, %s", err, stderr.String())
		}
		s.wantOutput(t, "", "mounted", "layer")
	})
}
