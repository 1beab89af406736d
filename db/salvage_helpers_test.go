package db_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
)

// salvageImage salvages a database that is there in bytes.
func salvageImage(t testing.TB, image []byte) *db.Salvaged {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	writeFile(t, path, image)
	return salvage(t, path)
}

func salvage(t testing.TB, path string) *db.Salvaged {
	t.Helper()
	s, err := db.Salvage(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lostInfo describes the store if the records do not.
var lostInfo = db.Info{UUID: "00000000-0000-4000-8000-000000000000", Driver: "vfs", Created: fillTime}

// rebuild makes a database of what was salvaged, and looks whether it is sound
// but for references. It returns all that is in it.
func rebuild(t testing.TB, s *db.Salvaged) (rebuilt *db.Rebuilt, dumped contents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rescued.db")
	rebuilt, err := s.Rebuild(t.Context(), path, lostInfo, db.Options{Now: fillNow, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	report, err := db.Examine(t.Context(), 0, path, func(tx *db.ReadTx) error {
		problems, err := tx.Check(t.Context())
		if err != nil {
			return err
		}
		for _, problem := range problems {
			if !problem.Code.IsReference() {
				t.Errorf("rebuilt: %s", problem)
			}
		}
		text, err := dump(tx)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &dumped)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range report.Problems {
		t.Errorf("rebuilt: %s", problem)
	}
	last := len(dumped.Journal) - 1
	if dumped.Journal[last].Changes[0].Op != db.OpRescue {
		t.Errorf("the last entry of the journal is %+v", dumped.Journal[last])
	}
	dumped.Journal = dumped.Journal[:last]
	return rebuilt, dumped
}

// dumpImage returns all that is in a database that is there in bytes.
func dumpImage(t testing.TB, image []byte) (dumped contents) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.db")
	writeFile(t, path, image)
	_, err := db.Examine(t.Context(), 0, path, func(tx *db.ReadTx) error {
		text, err := dump(tx)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &dumped)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dumped
}

// wantSame fails if two databases do not have the same in them.
func wantSame(t testing.TB, want, got contents) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// valuesOf returns the records of an intact database by bucket and key.
func valuesOf(s *db.Salvaged) map[string]*db.SalvagedRecord {
	values := make(map[string]*db.SalvagedRecord)
	for _, r := range s.Records() {
		values[r.Bucket+"/"+r.Key] = r
	}
	return values
}

// wantIntact fails unless all records of the original are there that lie in
// pages which are intact, and no others but older versions of those that do not.
func wantIntact(t testing.TB, image, damaged []byte, original, s *db.Salvaged, intact func(page int) bool) {
	t.Helper()
	want, got := valuesOf(original), valuesOf(s)
	for name, r := range want {
		first, last := spanOf(image, int(r.Page))
		whole := true
		for page := first; page <= last; page++ {
			whole = whole && intact(page)
		}
		switch there := got[name]; {
		case !whole:
		case there == nil && isNameless(r, damaged):
		case there == nil:
			t.Errorf("%q of page %d is lost", name, r.Page)
		default:
			if diff := cmp.Diff(r.Value(), there.Value()); diff != "" {
				t.Errorf("%q of page %d, now from page %d (%s): %s", name, r.Page, there.Page, there.Origin, diff)
			}
		}
	}
	for name, r := range got {
		if want[name] == nil && r.Origin == db.FromLive {
			t.Errorf("%q came from nowhere", name)
		}
	}
}

// isNameless tells whether a record lies in a bucket of an embedding program
// whose name is nowhere in the file any more.
func isNameless(r *db.SalvagedRecord, damaged []byte) bool {
	name, isApp := strings.CutPrefix(r.Bucket, "apps/")
	if !isApp {
		return false
	}
	app, _, _ := strings.Cut(name, "/")
	return !bytes.Contains(damaged, []byte(app))
}

// spanOf returns the pages that a page of an image consists of.
func spanOf(image []byte, id int) (first, last int) {
	return id, id + int(binary.LittleEndian.Uint32(image[id*pageSize+12:]))
}

// origins counts records by where they came from.
func origins(s *db.Salvaged) map[db.Origin]int {
	counts := make(map[db.Origin]int)
	for _, r := range s.Records() {
		counts[r.Origin]++
	}
	return counts
}

// lossesOf returns the losses as texts.
func lossesOf(s *db.Salvaged) (texts []string) {
	for _, l := range s.Losses() {
		texts = append(texts, strings.TrimSpace(string(l.Kind)+" "+l.ID+" "+l.Item))
	}
	slices.Sort(texts)
	return texts
}
