package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// A digest for each way to be found, and one that is the name of a container.
var (
	compressed = digest.FromString("compressed")
	contents   = digest.FromString("table of contents")
	named      = digest.FromString("name")
)

// addDigests gives the row of layers a digest of each kind: the first two the
// same one of a table of contents, the last one that of a diff as received.
func (s *sample) addDigests(t testing.TB) {
	t.Helper()
	store := s.open(t)
	_, err := store.AddNames(t.Context(), webCtr, named.String())
	must(t, err)
	must(t, store.Close())
	database, err := db.Open(t.Context(), s.root, db.Options{NoSync: true})
	must(t, err)
	defer database.Close()
	must(t, database.Update(t.Context(), func(tx *db.Tx) error {
		for i, layer := range midLayers() {
			_, err := tx.UpdateLayer(db.OpModify, layer, func(l *model.Layer) error {
				if i == 2 {
					l.Diff.CompressedDigest = compressed
				} else {
					l.TOCDigest = contents
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestObjectsAreFoundByDigest(t *testing.T) {
	s := newSample(t)
	s.addDigests(t)
	side, err := digest.FromReader(diff(t, sideLayer))
	must(t, err)
	manifest := digest.FromString("manifest of " + string(toolImage))
	mid := midLayers()
	for _, test := range []struct {
		name, ref string
		want      []string
	}{
		{"diff", side.String(), []string{string(sideLayer)}},
		{"diff as received", compressed.String(), []string{string(mid[2])}},
		{"table of contents", contents.String(), []string{string(mid[0]), string(mid[1])}},
		{"image", manifest.String(), []string{string(toolImage)}},
		{"name", named.String(), []string{string(webCtr)}},
		{"none", digest.FromString("none").String(), nil},
		{"part of one", side.String()[:20], nil},
	} {
		for _, command := range []string{"ls", "inspect"} {
			r := s.csdb(t, command, "--json", test.ref)
			if got := idsIn(t, r.stdout); !slices.Equal(got, test.want) || (r.status == 0) != (test.want != nil) {
				t.Errorf("%s %s: got %q, want %q, %+v", command, test.name, got, test.want, r)
			}
		}
	}
	for _, args := range [][]string{{"ls", "images", side.String()}, {"inspect", "--kind", "image", side.String()}, {"inspect", "--kind", "layer", manifest.String()}} {
		if r := s.csdb(t, args...); r.status != exitFailed || !strings.Contains(r.stderr, "not known") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestDamagedRecordDoesNotHideOthersWithItsDigest(t *testing.T) {
	s := newSample(t)
	s.addDigests(t)
	mid := midLayers()
	dbtest.FlipBit(t, s.path(db.FileName), "layers", string(mid[0]))
	for _, command := range []string{"ls", "inspect"} {
		r := s.csdb(t, command, "--json", contents.String())
		if got := idsIn(t, r.stdout); !slices.Equal(got, []string{string(mid[1])}) || r.status != exitDamaged {
			t.Errorf("%s: got %q, %+v", command, got, r)
		}
	}
	dbtest.FlipBit(t, s.path(db.FileName), "layers", string(mid[1]))
	for _, command := range []string{"ls", "inspect"} {
		r := s.csdb(t, command, contents.String())
		if r.status != exitDamaged || strings.Contains(r.stderr, model.ErrNotAnID.Error()) {
			t.Errorf("%s, all damaged: %+v", command, r)
		}
	}
}

// idsIn returns the IDs in a list of objects.
func idsIn(t testing.TB, text string) (ids []string) {
	t.Helper()
	var all []struct{ ID string }
	must(t, json.Unmarshal([]byte(text), &all))
	for _, o := range all {
		ids = append(ids, o.ID)
	}
	return ids
}
