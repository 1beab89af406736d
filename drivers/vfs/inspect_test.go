package vfs_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/vfs"
)

// TestRestoreCopiesAParentInAnotherHome, and says so if there is none.
func TestRestoreCopiesAParentInAnotherHome(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	driver, err := vfs.Open(t.Context(), drivers.Config{Home: theirs, RunHome: dir})
	must(err)
	must(driver.Create(t.Context(), "base", "", drivers.CreateOptions{}))
	must(driver.Close(t.Context()))
	must(os.WriteFile(filepath.Join(theirs, "dir", "base", "file"), []byte("of base"), 0o600))
	ours, to := filepath.Join(dir, "ours"), filepath.Join(dir, "restored")
	must(os.Mkdir(ours, 0o700)) // and nothing in it
	must(os.Mkdir(to, 0o700))
	restore := func(others []string) error {
		inspector, err := vfs.Inspect(t.Context(), ours, others)
		must(err)
		defer inspector.Close()
		restorer, ok := inspector.(drivers.Restorer)
		if !ok {
			t.Fatal("nothing can be restored")
		}
		layer := drivers.InspectedLayer{Dir: "top", Below: []string{"base"}}
		return restorer.Restore(t.Context(), layer, to, tar.NewReader(strings.NewReader("")))
	}
	if err := restore([]string{filepath.Join(dir, "missing")}); err == nil {
		t.Error("a parent that is nowhere makes no error")
	}
	must(restore([]string{filepath.Join(dir, "missing"), theirs}))
	if text, err := os.ReadFile(filepath.Join(to, "file")); err != nil || string(text) != "of base" {
		t.Errorf("file contains %q (%v)", text, err)
	}
}
