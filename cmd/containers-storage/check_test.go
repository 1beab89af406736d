package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func TestCheckListsFailedDeletions(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "import-layer", "--id", "layer", "-f", testFile(t, "base.tar"))
	s.ok(t, "create-image", "--id", "im", "layer")
	s.ok(t, "create-container", "--id", "c", "im")
	writeFile(t, filepath.Join(s.root, "vfs", "dir", "layer", "more"), "")
	const counts = "1 layer errors, 0 read-only layer errors, 1 image errors, 0 read-only image errors, 1 container errors\n"
	const failures = `image "im": image is in use by a container: [c]` + "\n" + `layer "layer": layer has children`
	r := s.run(t, "check", "--repair")
	if r.status != exitFailed || !strings.HasPrefix(r.stderr, failures) || !strings.HasSuffix(r.stderr, counts) {
		t.Errorf("%+v", r)
	}
	r = s.run(t, "check", "--repair", "--json")
	const want = `{"Layers":{"layer":[{}]},"ROLayers":{},"Images":{"im":[{}]},"ROImages":{},"Containers":{"c":[{}]}}` + "\n[{},{}]\n"
	if r.status != exitFailed || r.stdout != want || r.stderr != counts {
		t.Errorf("%+v", r)
	}
	if r := s.run(t, "check", "--quick"); r.status != exitOK || r.stdout != "" {
		t.Errorf("a quick check looks for what was added: %+v", r)
	}
}

// A directory that has the ID of a layer, and is not that layer's, says nothing
// against it or its image.
func TestCheckTellsStraysFromLayersWithTheirIDs(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "import-layer", "--id", "layer", "-f", testFile(t, "base.tar"))
	s.ok(t, "create-image", "--id", "im", "layer")
	home := filepath.Join(s.root, "vfs", "dir")
	dir := model.NewLayerDir("layer")
	if err := os.Rename(filepath.Join(home, "layer"), filepath.Join(home, dir)); err != nil {
		t.Fatal(err)
	}
	s.change(t, func(tx *db.Tx) error {
		_, err := tx.UpdateLayer(db.OpApply, "layer", func(l *model.Layer) error {
			l.Dir = dir
			return nil
		})
		return err
	})
	if err := os.Mkdir(filepath.Join(home, "layer"), 0o755); err != nil {
		t.Fatal(err)
	}
	const want = "layer layer:\n layer layer: layer in lower level storage driver not accounted for\n"
	if r := s.run(t, "check", "--repair"); r.status != exitOK || r.stdout != want {
		t.Errorf("%+v", r)
	}
	if got := s.ok(t, "check") + s.ok(t, "images", "-q") + s.ok(t, "layers", "-q"); got != "im\nlayer\n" {
		t.Errorf("left is %q", got)
	}
}

func TestCheckKeepsWhatIsLeased(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "leased")
	s.lease(t, "leased")
	s.ok(t, "create-layer", "--id", "other")
	if r := s.run(t, "check", "-r", "-m", "0"); r.status != exitOK || strings.Contains(r.stdout, "leased") {
		t.Errorf("%+v", r)
	}
	if got := s.ok(t, "layers", "-q"); got != "leased\n" {
		t.Errorf("left is %q", got)
	}
}

func TestCheckFailsIfTheDatabaseIsDamaged(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	for _, id := range []string{"one", "two"} {
		s.ok(t, "create-image", "--id", id, strings.TrimSpace(s.ok(t, "create-layer", "--id", id)))
	}
	dbtest.FlipBit(t, filepath.Join(s.root, db.FileName), "images", "two")
	r := s.run(t, "check", "--max", "0")
	// Of the layer of that image nobody can say that it is not used.
	if r.status != exitFailed || !strings.HasPrefix(r.stdout, "image two:\n image two: DB-RECORD: ") {
		t.Errorf("%+v", r)
	}
}

// lease keeps a layer from being deleted.
func (s localStore) lease(t *testing.T, id string) {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.runRoot})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.AddLease(t.Context(), graph.LeaseSpec{Objects: []model.ID{model.LayerID(id)}, For: time.Hour}); err != nil {
		t.Fatal(err)
	}
}
