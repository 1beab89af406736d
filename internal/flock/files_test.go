package flock_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

func TestLockFilesArePrivateWhateverTheUmaskSays(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		path := filepath.Join(t.TempDir(), "lock")
		old := unix.Umask(mask)
		l, err := flock.OpenRW(path)
		unix.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		for _, name := range []string{path, flock.QueuePath(path)} {
			info, err := os.Stat(name)
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("umask %#o: %v %v", mask, info, err)
			}
		}
	}
}

func TestLockFilesMustBeRegular(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"pipe":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"symbolic link": func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			if err := plant(path); err != nil {
				t.Fatal(err)
			}
			if l, err := flock.OpenRW(path); err == nil {
				l.Close()
				t.Fatal("it was taken for a lock file")
			} else if name == "pipe" && !errors.Is(err, model.ErrInvalid) {
				t.Errorf("wrong class: %v", err)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "elsewhere")); err == nil {
				t.Error("the link was followed")
			}
		})
	}
}

func TestMissingDirectoryIsNoLock(t *testing.T) {
	if _, err := flock.OpenRW(filepath.Join(t.TempDir(), "missing", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
