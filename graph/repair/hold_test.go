package repair_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

// newImageStore makes a sample with an image store beside it, in which the image
// "far" is, and a container of that.
func newImageStore(t *testing.T, driver string) (s *sample, images string) {
	t.Helper()
	s = newSample(t, driver)
	images = filepath.Join(filepath.Dir(s.root), "images")
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.run, Driver: driver, ImageStore: images})
	must(t, err)
	_, err = store.ImportLayer(t.Context(), graph.LayerSpec{ID: "far-top", Parent: "side"}, diff(t, "far-top"))
	must(t, err)
	_, err = store.CreateImage(t.Context(), graph.ImageSpec{ID: "far", TopLayer: "far-top"})
	must(t, err)
	_, err = store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "near", Image: "far", Layer: "near-rw"})
	must(t, err)
	_, err = store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "lost", Image: "far", Layer: "lost-rw", Volatile: true})
	must(t, err)
	_, err = store.Mount(t.Context(), "near", graph.MountOptions{})
	must(t, err)
	_, err = store.Unmount(t.Context(), "near", false)
	must(t, err)
	must(t, store.Close())
	return s, images
}

func TestRepairDropsAndMakesHolds(t *testing.T) {
	s, images := newImageStore(t, "vfs")
	main, err := db.ReadMarker(s.root)
	must(t, err)
	found, err := filepath.Glob(s.run + "/csdb-volatile/" + main + "/*/" + db.MarkerName)
	must(t, err)
	volatile, err := db.ReadMarker(filepath.Dir(found[0]))
	must(t, err)
	other := &sample{driver: "vfs", root: images, run: s.run}
	same(t, "steps in healthy stores", nil, append(stepsOf(makePlan(t, s), nil), stepsOf(makePlan(t, other), nil)...))
	records(func(_ *sample, tx *db.Tx) error {
		must(t, tx.RemoveHold(model.KindImage, "far", main))
		must(t, tx.RemoveHold(model.KindImage, "far", volatile))
		return tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "far-top", Store: "gone", Root: s.root, RunRoot: "/nowhere", Boot: "earlier"})
	})(t, other)
	before := other.listing(t)
	plan := throughJSON(t, makePlan(t, other))
	want := []string{
		"forget that the store " + s.root + " with run root /nowhere needs layer far-top",
		"note that the store " + s.root + " needs image far",
		"note that the store " + s.root + " with run root " + s.run + " needs image far",
	}
	got := stepsOf(plan, nil)
	slices.Sort(got)
	same(t, "steps", want, got)
	result, err := repair.Apply(t.Context(), plan)
	must(t, err)
	other.found(t, other.options(), nil)
	store := other.open(t)
	if _, err := store.DeleteImage(t.Context(), "far"); err == nil || !strings.Contains(err.Error(), s.root) {
		t.Errorf("the image was deleted: %v", err)
	}
	must(t, store.Close())
	other.undo(t, before, result.ID)
}

// What is brought back lies on a layer in another store.
func TestLayerOnOneOfAnotherStoreIsHealed(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s, images := newImageStore(t, driver)
			other := &sample{driver: driver, root: images, run: s.run}
			remove("@far-top")(t, other)
			source := filepath.Join(t.TempDir(), "source")
			content, err := io.ReadAll(diff(t, "far-top"))
			must(t, err)
			must(t, os.WriteFile(source, content, 0o600))
			plan, err := repair.Make(t.Context(), other.options(), source)
			must(t, err)
			_, err = repair.Apply(t.Context(), plan)
			must(t, err)
			other.found(t, other.options(), nil)
			s.found(t, s.options(), nil)
		})
	}
}
