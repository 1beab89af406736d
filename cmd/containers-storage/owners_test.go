package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// mapOwners gives mappings to a layer, which no command does yet.
func (s localStore) mapOwners(t *testing.T, id model.LayerID, maps ...model.IDMap) {
	t.Helper()
	s.change(t, func(tx *db.Tx) error {
		_, err := tx.UpdateLayer(db.OpApply, id, func(l *model.Layer) error {
			l.UIDMap, l.GIDMap = maps, maps
			return nil
		})
		return err
	})
}

// change changes the records of the store behind its back.
func (s localStore) change(t *testing.T, fn func(*db.Tx) error) {
	t.Helper()
	database, err := db.Open(t.Context(), s.root, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if err := database.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestOwnersThatMappingsCannotExpressArePrinted(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "layer")
	s.ok(t, "create-container", "--id", "c", "")
	_, after, _ := strings.Cut(s.ok(t, "container", "c"), "Layer: ")
	own := strings.TrimSpace(after)
	for _, test := range []struct{ command, doing, ref, layer, text, json string }{
		{
			"layer-parent-owners", "LayerParentOwner", "layer", "layer",
			"ID: layer\nUIDs: [0 5000]\nGIDs: [0 6000]\n",
			`{"ID":"layer","UIDs":[0,5000],"GIDs":[0,6000]}` + "\n",
		},
		{
			"container-parent-owners", "ContainerParentOwner", "c", own,
			"ID: c\nUIDs: [0 5000]\nGIDs: [0 6000]\n",
			`{"ID":"c","UIDs":[0,5000],"GIDs":[0,6000]}` + "\n",
		},
	} {
		s.mapOwners(t, model.LayerID(test.layer), model.IDMap{HostID: 100_000, Size: 10})
		want := test.doing + `: layer "` + test.layer + "\": layer is not mounted\n"
		r := s.run(t, test.command, "nosuch", test.ref, test.ref)
		if r.status != exitFailed || r.stdout != "" || r.stderr != want {
			t.Errorf("%s: %+v, want the error %q", test.command, r, want)
		}
		s.ok(t, "mount", test.ref)
		if err := os.Chown(filepath.Join(s.root, "vfs", "dir"), 5000, 6000); err != nil {
			t.Fatal(err)
		}
		if got := s.ok(t, test.command, test.ref); got != test.text {
			t.Errorf("%s printed %q instead of %q", test.command, got, test.text)
		}
		if got := s.ok(t, test.command, "-j", test.ref); got != test.json {
			t.Errorf("%s -j printed %q instead of %q", test.command, got, test.json)
		}
	}
}

func TestContainerWithoutItsLayerIsNotPassedOver(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-container", "--id", "c", "")
	layer := strings.TrimSpace(s.ok(t, "layers", "-q"))
	s.change(t, func(tx *db.Tx) error {
		_, _, err := tx.DeleteLayer(model.LayerID(layer))
		return err
	})
	want := `ContainerParentOwner: layer "` + layer + "\": layer not known\n"
	if got := s.fails(t, "container-parent-owners", "c"); got != want {
		t.Errorf("the error is %q, want %q", got, want)
	}
}
