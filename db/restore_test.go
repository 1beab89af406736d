package db_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

const freelistPage = 0x10 // in the flags of a page

// backupOf makes a backup of a database.
func backupOf(t testing.TB, database *db.DB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "monday.db")
	if err := database.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

func restore(t testing.TB, root, backup string, options db.RestoreOptions) *db.Restored {
	t.Helper()
	restored, err := db.Restore(t.Context(), root, backup, options)
	if err != nil {
		t.Fatal(err)
	}
	return restored
}

func TestRestoreBringsBackTheRecords(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill, createLayer("before"))
	backup := backupOf(t, database)
	want := layerIDs(t, database)
	update(t, database, createLayer("after"), createLayer("after-too"))
	late, last := layerIDs(t, database), txID(t, database)

	now := func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }
	for n, name := range []string{"csdb.db.before-restore-20260131T120000Z", "csdb.db.before-restore-20260131T120000Z.2"} {
		restored := restore(t, rootOf(database), backup, db.RestoreOptions{Now: now})
		if got := filepath.Base(restored.Kept); got != name {
			t.Errorf("kept as %s, want %s", got, name)
		}
		// The handle that was open before goes on with the new file.
		if diff := cmp.Diff(want, layerIDs(t, database)); diff != "" {
			t.Error(diff)
		}
		kept := slices.Sorted(slices.Values(want)) // by the second restoration
		if n == 0 {
			kept = slices.Sorted(slices.Values(late))
		}
		got, _, err := layersOf(t, restored.Kept)
		if diff := cmp.Diff(kept, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
	entries := journalOf(t, database)
	entry := entries[len(entries)-1]
	if entry.TxID <= last || entry.Changes[0].Op != db.OpRestore || entry.Changes[0].Detail[0] != "monday.db" {
		t.Errorf("after transaction %d the journal has %+v", last, entry)
	}
	update(t, database, createLayer("after"))
}

func TestRestoreOfADatabaseThatIsLostOrDamaged(t *testing.T) {
	for name, harm := range map[string]func(root string) error{
		"missing":   func(root string) error { return os.Remove(filepath.Join(root, db.FileName)) },
		"truncated": func(root string) error { return os.Truncate(filepath.Join(root, db.FileName), 5000) },
		"empty":     func(root string) error { return os.Truncate(filepath.Join(root, db.FileName), 0) },
		"a link": func(root string) error {
			path := filepath.Join(root, db.FileName)
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink("/etc/passwd", path)
		},
		"no marker": func(root string) error { return os.Remove(filepath.Join(root, db.MarkerName)) },
		"no locks": func(root string) error {
			return os.Remove(filepath.Join(root, db.LockName))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := twoLayers(t)
			database := open(t, root, db.Options{})
			backup := backupOf(t, database)
			database.Close()
			if err := harm(root); err != nil {
				t.Fatal(err)
			}
			_, before := os.Lstat(filepath.Join(root, db.FileName))
			restored := restore(t, root, backup, db.RestoreOptions{})
			if (restored.Kept == "") != (before != nil) {
				t.Errorf("kept as %q", restored.Kept)
			}
			again := open(t, root, db.Options{})
			dbtest.CheckAtEnd(t, again)
			if got := layerIDs(t, again); len(got) != 2 {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestRestoreRefusesWhatDoesNotBelong(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("here"))
	other := dbtest.New(t, db.Options{})
	update(t, other, createLayer("there"))
	root, before := rootOf(database), readFile(t, database.Path())
	names := filesIn(t, root)
	refused := func(file string, classes ...error) {
		t.Helper()
		restored, err := db.Restore(t.Context(), root, file, db.RestoreOptions{})
		wantClass(t, err, classes...)
		if restored != nil || string(readFile(t, database.Path())) != string(before) {
			t.Error("the database has changed")
		}
		if diff := cmp.Diff(names, filesIn(t, root)); diff != "" {
			t.Error(diff)
		}
	}
	refused(filepath.Join(root, "nothing"), fs.ErrNotExist)
	refused(root, model.ErrCorrupt)
	refused(database.Path(), model.ErrInvalid)
	backup := backupOf(t, other)
	refused(backup, model.ErrInvalid)

	// Damage of any kind.
	content := readFile(t, backupOf(t, database))
	noneFree := slices.Clone(content)
	for id := 2; id*os.Getpagesize() < len(noneFree); id++ {
		if page := noneFree[id*os.Getpagesize():]; page[8] == freelistPage {
			page[10], page[11] = 0, 0
		}
	}
	harmed := filepath.Join(t.TempDir(), "harmed")
	writeFile(t, harmed, noneFree)
	refused(harmed, model.ErrCorrupt)
	for offset := 100; offset < len(content); offset += 97 {
		flipped := slices.Clone(content)
		flipped[offset] ^= 0x10
		writeFile(t, harmed, flipped)
		if problemsOf(t, harmed) {
			refused(harmed, model.ErrCorrupt)
		}
	}

	// With force the store becomes the other one.
	restored := restore(t, root, backup, db.RestoreOptions{Force: true})
	if uuid, err := db.ReadMarker(root); uuid != restored.UUID || err != nil {
		t.Errorf("the marker says %s, want %s; %v", uuid, restored.UUID, err)
	}
	if got := layerIDs(t, database); !slices.Equal(got, []model.LayerID{"there"}) {
		t.Errorf("got %v", got)
	}
}

// problemsOf tells whether Examine finds anything wrong with a file.
func problemsOf(t testing.TB, path string) bool {
	t.Helper()
	found := false
	report, err := db.Examine(t.Context(), time.Minute, path, func(tx *db.ReadTx) error {
		problems, err := tx.Check(t.Context())
		found = len(problems) > 0
		return err
	})
	return found || err != nil || len(report.Problems) > 0
}

func TestRestoreWaitsForOthers(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("here"))
	backup := backupOf(t, database)
	for _, entry := range []string{"reader", "writer", "foreign"} {
		at := rootOf(database)
		if entry == "foreign" {
			at = database.Path()
		}
		holder := startHolder(t, entry, at)
		_, err := db.Restore(t.Context(), rootOf(database), backup, db.RestoreOptions{Wait: 50 * time.Millisecond})
		wantClass(t, err, model.ErrBusy)
		holder.letGo(t)
		if names := filesIn(t, rootOf(database)); slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "before-restore") }) {
			t.Errorf("%s: replaced all the same: %q", entry, names)
		}
	}
	restore(t, rootOf(database), backup, db.RestoreOptions{})
}
