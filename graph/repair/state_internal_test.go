package repair

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Whatever is in the root, nothing outside of it is found.
func TestNoPathLeadsOut(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	err := errors.Join(
		os.MkdirAll(filepath.Join(root, "real"), 0o700), os.Mkdir(filepath.Join(dir, "outside"), 0o700),
		os.Symlink("../outside", filepath.Join(root, "out")), os.Symlink("real", filepath.Join(root, "in")))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tree.close() }()
	call := func(*beneath.Dir, string) error { return nil }
	for name, want := range map[string]error{
		"real/file": nil, "file": nil,
		"out/file": unix.ELOOP, "in/file": unix.ELOOP,
		"../outside/file": model.ErrInvalid, "/etc/passwd": model.ErrInvalid, "": model.ErrInvalid, ".": model.ErrInvalid,
		"real/../file": model.ErrInvalid, "real/\x00": model.ErrInvalid,
	} {
		if err := tree.in(name, call); !errors.Is(err, want) {
			t.Errorf("%q: error %v, want %v", name, err, want)
		}
	}
	if err := tree.move("real", "out/real"); err == nil {
		t.Error("a directory was moved out")
	}
}
