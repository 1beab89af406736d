package beneath_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/internal/beneath"
)

func TestRemovedDirectoryIsEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := beneath.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if names, err := dir.Names(); err != nil || len(names) > 0 {
		t.Errorf("it has %q, %v", names, err)
	}
}
