package drivertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/testutil"
)

// TestRemoveLeavesNothingOfTheLayer whether it is mounted or not, and whatever
// is in it.
func (s suite) TestRemoveLeavesNothingOfTheLayer(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) { testutil.OddTreeWithout(t, root, s.traits.MaxName) })
	before := h.homeNames()
	for _, parent := range []string{"", "base"} {
		for _, mounted := range []bool{false, true} {
			h.create("layer", parent)
			path := h.mount("layer")
			testutil.Tree(t, path, 7)
			if !mounted {
				h.unmount("layer")
			}
			h.remove("layer")
			if h.exists("layer") {
				t.Errorf("on %q, mounted %v: layer exists", parent, mounted)
			}
			if diff := cmp.Diff(before, h.homeNames()); diff != "" {
				t.Errorf("on %q, mounted %v: home has changed:\n%s", parent, mounted, diff)
			}
			if left := h.mounts(); len(left) > 0 {
				t.Errorf("on %q, mounted %v: still mounted: %q", parent, mounted, left)
			}
		}
	}
	h.remove("layer")
	h.wantLayers("base")
}

// TestRemoveFinishesWhatOthersBegan: parts of the layer may be missing.
func (s suite) TestRemoveFinishesWhatOthersBegan(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.write("base", "file", "of base")
	before := h.homeNames()
	for missing := 0; ; missing++ {
		h.create("layer", "base")
		h.write("layer", "own", "content")
		parts := h.partsOf("layer", before)
		if missing == len(parts) {
			break
		}
		h.must(os.RemoveAll(parts[missing]))
		h.remove("layer")
		if diff := cmp.Diff(before, h.homeNames()); diff != "" {
			t.Errorf("without %s: this is left:\n%s", parts[missing], diff)
		}
	}
	if got := h.read("base", "file"); got != "of base" {
		t.Errorf("file of base contains %q", got)
	}
}

// partsOf returns the paths of all that has come to the home since before.
func (h *harness) partsOf(id string, before []string) []string {
	h.Helper()
	old := make(map[string]bool)
	for _, name := range before {
		old[name] = true
	}
	var parts []string
	for _, name := range h.homeNames() {
		if !old[name] {
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 {
		h.Fatalf("layer %q has nothing in the home", id)
	}
	return parts
}

// TestRemoveThatIsInterruptedCanBeRepeated and the layer does not come back.
func (s suite) TestRemoveThatIsInterruptedCanBeRepeated(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.write("base", "file", "of base") // a driver may note at the first mount how it mounts
	before := h.homeNames()
	interrupted := false
	for patience := range 12 {
		h.create("layer", "base")
		h.inside("layer", func(root string) { testutil.Tree(t, root, 3) })
		err := h.driver.Remove(newImpatient(t.Context(), patience), "layer")
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d looks: %v", patience, err)
		}
		interrupted = interrupted || err != nil
		if err != nil && !h.exists("layer") && len(h.list()) != 2 {
			t.Errorf("after %d looks: what is left is not listed", patience)
		}
		h.remove("layer")
		if diff := cmp.Diff(before, h.homeNames()); diff != "" {
			t.Errorf("after %d looks: this is left:\n%s", patience, diff)
		}
	}
	if !interrupted {
		t.Error("Remove takes no notice of its context")
	}
}

// TestCreateClearsAwayWhatAnInterruptedRemoveLeft.
func (s suite) TestCreateClearsAwayWhatAnInterruptedRemoveLeft(t *testing.T) {
	h := s.open(t)
	h.create("layer", "")
	h.inside("layer", func(root string) { testutil.Tree(t, root, 3) })
	if err := h.driver.Remove(newImpatient(t.Context(), 5), "layer"); err == nil {
		t.Skip("removing cannot be interrupted")
	}
	h.remove("layer")
	h.create("layer", "")
	if got := h.snapshot("layer"); len(got) != 1 {
		t.Errorf("new layer contains %v", got.Lines())
	}
}

// TestRemoveKeepsOtherLayers also those that are mounted.
func (s suite) TestRemoveKeepsOtherLayers(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.write("base", "file", "of base")
	path := ""
	for i := range 3 {
		h.create(fmt.Sprint("layer", i), "base")
		path = h.mount(fmt.Sprint("layer", i))
	}
	h.remove("layer0")
	h.remove("layer1")
	h.wantLayers("base", "layer2")
	if got := readFile(t, filepath.Join(path, "file")); got != "of base" {
		t.Errorf("file contains %q", got)
	}
}
