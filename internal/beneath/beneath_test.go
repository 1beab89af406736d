package beneath_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/testutil"
)

func TestMain(m *testing.M) { testutil.Main(m, nil) }

// open opens a directory until the end of the test.
func open(t testing.TB, path string) *beneath.Dir {
	t.Helper()
	dir, err := beneath.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// house makes two directories beside each other: a root and one that nobody
// may get at through it. The latter has a file "secret" and a directory
// "folder", and its name, from the root, is "../outside".
func house(t testing.TB) (root, outside string) {
	t.Helper()
	dir := t.TempDir()
	root, outside = filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	mkdirs(t, root, filepath.Join(outside, "folder"))
	write(t, filepath.Join(outside, "secret"), "secret")
	return root, outside
}

func mkdirs(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func symlink(t testing.TB, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func exists(t testing.TB, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func inode(t testing.TB, dir *beneath.Dir) uint64 {
	t.Helper()
	stat, err := dir.Stat(".")
	if err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

// descriptors counts the open files of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// dig makes a chain of directories that is longer than any path, and puts a
// file at its end.
func dig(t testing.TB, root string, levels int) {
	t.Helper()
	fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for level := 0; level < levels && err == nil; level++ {
		if err = unix.Mkdirat(fd, "down", 0o700); err != nil {
			break
		}
		var next int
		next, err = unix.Openat(fd, "down", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		_ = unix.Close(fd)
		fd = next
	}
	if err == nil {
		err = unix.Mknodat(fd, "bottom", unix.S_IFREG|0o600, 0)
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		t.Fatal(err)
	}
}
