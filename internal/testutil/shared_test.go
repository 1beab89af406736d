package testutil_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

func TestSharedLoopGivesFoldersInOneFileSystem(t *testing.T) {
	for _, kind := range testutil.Filesystems() {
		t.Run(kind, func(t *testing.T) {
			first, second := testutil.SharedLoop(t, kind), testutil.SharedLoop(t, kind)
			checkKind(t, first, kind)
			if first == second || device(t, first) != device(t, second) {
				t.Errorf("%s and %s are not two folders in one file system", first, second)
			}
		})
	}
}

func TestSharedLoopRemovesTheFolder(t *testing.T) {
	var dir string
	t.Run("used", func(t *testing.T) {
		dir = testutil.SharedLoop(t, "ext4")
		testutil.OddTree(t, dir)
	})
	if _, err := os.Lstat(dir); dir != "" && err == nil {
		t.Errorf("%s still exists", dir)
	}
}

func TestSharedLoopUnmountsWhatIsLeftOver(t *testing.T) {
	testutil.NeedRoot(t)
	var dir string
	r := record(t.Context(), func(r testing.TB) {
		dir = testutil.SharedLoop(r, "ext4")
		mount(t, "tmpfs", filepath.Join(dir, "mnt"), "tmpfs", 0, "")
	})
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "still mounted") {
		t.Errorf("failures %q", r.failures)
	}
	if left := mountsBelow(t, dir); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func device(t *testing.T, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Dev
}
