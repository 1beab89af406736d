package drivertest

import (
	"io"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/beneath"
)

// TestTreeHasTheFilesOfALayer whether it is mounted or not.
func (s suite) TestTreeHasTheFilesOfALayer(t *testing.T) {
	h := s.open(t)
	driver, ok := h.driver.(drivers.TreeDriver)
	if !ok {
		t.Skip("the driver does not implement drivers.TreeDriver")
	}
	h.create("base", "")
	h.write("base", "file", "of base")
	h.create("layer", "base")
	h.write("layer", "file", "of layer")
	for _, mounted := range []bool{false, true} {
		if mounted {
			h.mount("layer")
		}
		for id, want := range map[string]string{"base": "of base", "layer": "of layer"} {
			tree, err := driver.Tree(t.Context(), id)
			h.must(err)
			if got := h.readIn(tree, "file"); got != want {
				t.Errorf("tree of %s, mounted %v: file contains %q", id, mounted, got)
			}
			h.must(tree.Close())
		}
	}
}

// readIn reads a file of a directory.
func (h *harness) readIn(dir *beneath.Dir, name string) string {
	h.Helper()
	file, err := dir.RegularEntry(name)
	h.must(err)
	text, err := io.ReadAll(file)
	h.must(err)
	h.must(file.Close())
	return string(text)
}
