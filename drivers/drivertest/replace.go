package drivertest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// TestReplaceKeepsThePlaceOfALayer whatever is left of it: it has the content of
// the other layer then, layers that are made on it see that, and with a driver
// that stacks layers so do those that were.
func (s suite) TestReplaceKeepsThePlaceOfALayer(t *testing.T) {
	h := s.open(t)
	driver, ok := h.driver.(drivers.Replacer)
	if !ok {
		t.Skip("the driver does not implement drivers.Replacer")
	}
	copier, ok := h.driver.(drivers.ParentCopier)
	copies := ok && copier.CopiesParents()
	h.create("base", "")
	h.write("base", "deep", "of base")
	before := h.homeNames()
	for missing, last := -1, 0; missing < last; missing++ {
		h.create("layer", "base")
		h.write("layer", "file", "damaged")
		parts := h.partsOf("layer", before)
		last = len(parts)
		h.create("child", "layer")
		h.create("other", "base")
		h.write("other", "file", "whole")
		what := "whole"
		if missing >= 0 {
			what = "without " + parts[missing]
			h.must(os.RemoveAll(parts[missing]))
		}
		h.must(driver.Replace(t.Context(), "layer", "other"))
		h.remove("other")
		if got := h.read("layer", "file"); got != "whole" {
			t.Errorf("%s: file contains %q", what, got)
		}
		h.create("new", "layer")
		for _, id := range []string{"new", "child"} {
			if id == "child" && copies {
				continue
			}
			h.inside(id, func(root string) {
				for name, want := range map[string]string{"file": "whole", "deep": "of base"} {
					if got := readFile(t, filepath.Join(root, name)); got != want {
						t.Errorf("%s: %s has a file %s with %q", what, id, name, got)
					}
				}
			})
		}
		for _, id := range []string{"new", "child", "layer"} {
			h.remove(id)
		}
		h.wantLayers("base")
		if t.Failed() {
			return
		}
	}
	if err := driver.Replace(t.Context(), "layer", "unknown"); !errors.Is(err, model.ErrLayerUnknown) {
		t.Errorf("replaced by an unknown layer: %v", err)
	}
	if err := driver.Replace(t.Context(), "../layer", "base"); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("replaced something else: %v", err)
	}
}
