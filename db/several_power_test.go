package db_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// A power cut leaves no more of a transaction over several databases in one of them
// than in the others, and all of it if it was acknowledged or decided.
func TestPowerCutInATransactionOverSeveralDatabases(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		t.Run(fs, func(t *testing.T) {
			disk := testutil.Loop{FS: fs, Size: diskSizes[fs]}.Mount(t)
			var roots []string
			for _, name := range []string{"a", "b", "c"} {
				root := filepath.Join(disk.Dir(), name)
				if err := os.Mkdir(root, 0o700); err != nil {
					t.Fatal(err)
				}
				database, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{})
				if err != nil {
					t.Fatal(err)
				}
				database.Close()
				roots = append(roots, root)
			}
			var want []string
			for round, stage := range []string{"prepared", "decided", "done", "prepared", "decided", "done"} {
				name := model.LayerID(id("%s-%d", stage, round))
				all := openAll(t, roots)
				fns := inEach(all, createLayer(name))
				var err error
				if stage == "done" {
					err = updateAll(t, all, fns...)
				} else {
					err = db.Interrupt(t.Context(), all, stage == "decided", fns...)
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, database := range all {
					database.Close()
				}
				disk.PowerCut(t)
				if stage != "prepared" {
					want = append(want, string(name))
				}
				all = openAll(t, roots)
				wantLayers(t, all, want, want, want)
				wantSettled(t, all...)
				for _, database := range all {
					dbtest.Check(t, database)
					database.Close()
				}
			}
		})
	}
}

func openAll(t testing.TB, roots []string) []*db.DB {
	t.Helper()
	all, err := openSeveral(t.Context(), roots)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// If there is no room for the changes of one database, nothing changes in any; what
// is there can be deleted from all of them.
func TestFullDiskOfOneOfSeveralDatabases(t *testing.T) {
	for name, coordinates := range map[string]bool{"coordinator": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			full, ballast := fullDisk(t, "ext4", diskSizes["ext4"])
			other := dbtest.New(t, db.Options{})
			all := []*db.DB{other, full}
			if coordinates {
				all = []*db.DB{full, other}
			}
			made := 0
			var err error
			for ; err == nil && made < 1000; made++ {
				err = updateAll(t, all, inEach(all, func(tx *db.Tx) error {
					return tx.CreateLayer(&model.Layer{ID: model.LayerID(id("late-%d", made)), Metadata: string(make([]byte, 50_000))})
				})...)
			}
			made--
			wantClass(t, err, model.ErrNoSpace)
			if db.IsUnknown(err) {
				t.Errorf("the outcome is said to be unknown: %v", err)
			}
			wantSettled(t, all...)
			if n := len(layersIn(t, other)[0]); n != made {
				t.Errorf("%d layers are in the other database, and %d were made", n, made)
			}
			for n := range made {
				if err := updateAll(t, all, inEach(all, deleteLayer(model.LayerID(id("late-%d", n))))...); err != nil {
					t.Fatal(err)
				}
			}
			wantLayers(t, []*db.DB{other}, nil)
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		})
	}
}
