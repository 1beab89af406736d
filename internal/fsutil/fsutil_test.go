package fsutil_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/fsutil"
)

// withUmask runs fn under a umask. No other test of this package runs beside.
func withUmask(mask int, fn func() error) error {
	old := unix.Umask(mask)
	defer unix.Umask(old)
	return fn()
}

// names lists a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestWriteFileReplacesInOneStep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, c := range []struct {
		content string
		mode    os.FileMode
		umask   int
	}{
		{"first", 0o600, 0},
		{"second and longer", 0o644, 0o777},
		{"", 0o600, 0o077},
	} {
		old, _ := os.Open(path)
		err := withUmask(c.umask, func() error { return fsutil.WriteFile(path, []byte(c.content), c.mode) })
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != c.content {
			t.Errorf("got %q (%v), want %q", got, err, c.content)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != c.mode {
			t.Errorf("got mode %v (%v), want %v", info, err, c.mode)
		}
		if names(t, dir) != "file" {
			t.Errorf("left behind: %s", names(t, dir))
		}
		if old != nil {
			// Who has the old file open goes on reading the old content.
			if now, err := old.Stat(); err != nil || os.SameFile(now, info) {
				t.Errorf("the file was not replaced but changed (%v)", err)
			}
			_ = old.Close()
		}
	}
}

func TestWriteFileThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := fsutil.WriteFile(filepath.Join(dir, "taken"), []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	if names(t, dir) != "taken" {
		t.Errorf("left behind: %s", names(t, dir))
	}
	if err := fsutil.WriteFile(filepath.Join(dir, "missing", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestMakeDirs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "c")
	for range 2 { // the second time they exist
		if err := withUmask(0o777, func() error { return fsutil.MakeDirs(path, 0o710) }); err != nil {
			t.Fatal(err)
		}
	}
	for p := path; p != dir; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil || info.Mode() != os.ModeDir|0o710 {
			t.Errorf("%s: %v %v", p, info, err)
		}
	}
}

func TestMakeDirsLeavesOthersModesAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shared")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fsutil.MakeDirs(filepath.Join(dir, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", info, err)
	}
}

func TestMakeDirsStopsAtWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := fsutil.MakeDirs(path, 0o700); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestMakeDirsBesideOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c", "d")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := fsutil.MakeDirs(path, 0o700); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestSync(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(fsutil.SyncDir(dir), syncFS(dir)); err != nil {
		t.Error(err)
	}
	missing := filepath.Join(dir, "missing")
	if err := fsutil.SyncDir(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := syncFS(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestTempNamesDiffer(t *testing.T) {
	a, b := fsutil.TempName(), fsutil.TempName()
	if a == b || !strings.HasPrefix(a, fsutil.TempPrefix) || strings.ContainsAny(a, "/\x00") {
		t.Errorf("%q, %q", a, b)
	}
}

func syncFS(dir string) error {
	disk, err := fsutil.OpenSyncer(dir)
	if err != nil {
		return err
	}
	defer disk.Close()
	return disk.Sync()
}

// Whoever deletes the last thing in a directory removes it, also at the moment
// at which somebody else is going to put something there.
func TestMakeDirsGoesOnWhenAParentIsRemoved(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	dir := filepath.Join(parent, "dir")
	stop := make(chan struct{})
	var remover sync.WaitGroup
	remover.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond): // so that both come to something
				_ = os.Remove(parent) // fails unless it is empty
			}
		}
	})
	defer remover.Wait()
	defer close(stop)
	for range 500 {
		if err := fsutil.MakeDirs(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
}
