package db_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// mend mends a database and returns how much was changed.
func mend(t *testing.T, database *db.DB) (changed int) {
	t.Helper()
	update(t, database, func(tx *db.Tx) (err error) {
		changed, err = tx.Mend(t.Context())
		return err
	})
	return changed
}

// isMended tells whether Mend is to put a problem right.
func isMended(p db.Problem) bool {
	return p.IsDerived() || p.Code == db.ProblemTrash || strings.HasPrefix(p.Place, "trash/") || strings.HasPrefix(p.Place, "prepared/")
}

// Whatever follows from the records is put right, and nothing else is touched.
func TestMendPutsRightWhatFollowsFromTheRecords(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			database := create(t)
			update(t, database, fill)
			withBolt(t, database.Path(), d.do)
			var wanted []string
			mended := false
			for _, p := range dbtest.Problems(t, database) {
				if isMended(p) {
					mended = true
				} else {
					wanted = append(wanted, p.String())
				}
			}
			if changed := mend(t, database); mended != (changed > 0) {
				t.Errorf("%d entries were changed", changed)
			}
			var left []string
			for _, p := range dbtest.Problems(t, database) {
				left = append(left, p.String())
			}
			sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(wanted, left, sorted, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("left after mending: %s", diff)
			}
			if changed := mend(t, database); changed != 0 {
				t.Errorf("once more, %d entries were changed", changed)
			}
		})
	}
}

// After the loss of all that follows from the records, all of it comes back.
func TestMendRestoresLostBuckets(t *testing.T) {
	derived := []string{
		"names/layer", "names/image", "names/container", "index/children", "index/layer-images", "index/layer-containers",
		"index/image-containers", "index/digest/diff", "index/digest/compressed", "index/digest/toc", "index/digest/image", "index/files", "uses",
	}
	text := func(database *db.DB) (text string) {
		view(t, database, func(tx *db.ReadTx) (err error) {
			text, err = dump(tx)
			return err
		})
		return text
	}
	database := create(t)
	update(t, database, fill)
	before := text(database)
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		for _, name := range derived {
			if err := tx.Bucket([]byte("v1")).DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	if changed := mend(t, database); changed < len(derived) {
		t.Errorf("%d entries were changed", changed)
	}
	dbtest.Check(t, database)
	// The journal has one entry more.
	all := func(text string) (all map[string]any) {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatal(err)
		}
		delete(all, "Journal")
		return all
	}
	if diff := cmp.Diff(all(before), all(text(database))); diff != "" {
		t.Error(diff)
	}
}

// Of two objects with one name the newer keeps it.
func TestMendDecidesWhoHasAName(t *testing.T) {
	database := create(t)
	update(t, database, func(tx *db.Tx) error {
		if err := tx.CreateLayer(&model.Layer{ID: "old", Names: []string{"first", "mine"}}); err != nil {
			return err
		}
		return tx.CreateLayer(&model.Layer{ID: "new", Names: []string{"second"}})
	})
	dbtest.Rewrite(t, database.Path(), "layers", "new", func(content []byte) []byte {
		return []byte(strings.ReplaceAll(string(content), "\x66second", "\x65first"))
	})
	mend(t, database)
	dbtest.Check(t, database)
	view(t, database, func(tx *db.ReadTx) error {
		owner, err := tx.NameOwner(model.KindLayer, "first")
		if owner != "new" || err != nil {
			t.Errorf("name first belongs to %q (%v)", owner, err)
		}
		names, err := tx.Names(model.KindLayer, "old")
		if diff := cmp.Diff([]string{"mine"}, names); diff != "" {
			t.Error(diff)
		}
		return err
	})
}
