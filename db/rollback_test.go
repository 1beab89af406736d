package db_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

func TestRollbackTakesBackOneTransaction(t *testing.T) {
	for name, large := range map[string]bool{"small": false, "large": true} {
		t.Run(name, func(t *testing.T) {
			database := dbtest.New(t, db.Options{Now: fillNow})
			update(t, database, fill)
			if large {
				shrink(t, database)
			}
			want, before := dumpOf(t, database), txID(t, database)
			update(t, database, createLayer("mistake"), createLayer("another"))
			wrong := layerIDs(t, database)

			last, err := db.LastTx(t.Context(), time.Minute, database.Path())
			if err != nil {
				t.Fatal(err)
			}
			if int(last.To) != before || int(last.TxID) != before+1 || last.Entry == nil || last.Entry.Changes[0].ID != "mistake" {
				t.Errorf("got %+v", last)
			}
			done, err := db.Rollback(t.Context(), rootOf(database), last.TxID, db.RestoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := dumpOf(t, database)
			if begin := strings.Index(want, `"Journal":`); got[:begin] != want[:begin] {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			entries := journalOf(t, database)
			if entry := entries[len(entries)-1]; entry.Changes[0].Op != db.OpRevert || entry.TxID <= int(last.TxID) {
				t.Errorf("the journal has %+v", entry)
			}
			kept, _, err := layersOf(t, done.Kept)
			if err != nil || len(kept) != len(wrong) {
				t.Errorf("kept: %v, %v", kept, err)
			}
			update(t, database, createLayer("after"))
		})
	}
}

func TestRollbackRefuses(t *testing.T) {
	database := create(t)
	for _, name := range []string{"one", "two", "three"} {
		update(t, database, createLayer(model.LayerID(name)))
	}
	last := uint64(txID(t, database))
	rollback := func(txID uint64, wait time.Duration) error {
		_, err := db.Rollback(t.Context(), rootOf(database), txID, db.RestoreOptions{Wait: wait})
		return err
	}
	before := readFile(t, database.Path())
	names := filesIn(t, rootOf(database))
	refused := func(err error, class error) {
		t.Helper()
		wantClass(t, err, class)
		if string(readFile(t, database.Path())) != string(before) {
			t.Error("the file has changed")
		}
		if diff := cmp.Diff(names, filesIn(t, rootOf(database))); diff != "" {
			t.Error(diff)
		}
	}
	// Somebody has committed since it was shown.
	refused(rollback(last-1, 0), model.ErrBusy)
	holder := startHolder(t, "reader", rootOf(database))
	refused(rollback(last, 50*time.Millisecond), model.ErrBusy)
	holder.letGo(t)

	// The state before has been written over.
	harmed := append([]byte{}, before...)
	old := metaOf(harmed, int(last-1)%2)
	for i := range os.Getpagesize() {
		harmed[int(old)*os.Getpagesize()+i] = 0
	}
	overwrite(t, database.Path(), harmed)
	before = harmed
	refused(rollback(last, 0), model.ErrUnsupported)
	// There is one meta page only.
	harmed[int(last-1)%2*os.Getpagesize()+20] ^= 1
	overwrite(t, database.Path(), harmed)
	refused(rollback(last, 0), model.ErrUnsupported)
}

// metaOf returns the root page that a meta page names.
func metaOf(image []byte, page int) (root uint64) {
	for i := range 8 {
		root |= uint64(image[page*os.Getpagesize()+16+16+i]) << (8 * i)
	}
	return root
}

// A file that has been written as a whole has no state before.
func TestRollbackOfACopyHasNothingToTakeBack(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("one"))
	backup := backupOf(t, database)
	_, err := db.LastTx(t.Context(), 0, backup)
	wantClass(t, err, model.ErrUnsupported)
	if _, err := os.Stat(backup); err != nil {
		t.Error(err)
	}
}
