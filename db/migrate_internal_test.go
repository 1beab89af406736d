package db

import (
	"errors"
	"testing"

	"github.com/csdb/csdb/model"
)

// older is how many versions of the schema there were before this one. The made-up
// migrations count from this one, as if it were the first.
const older = SchemaVersion - 1

// migrated runs made-up migrations on a database of version 1, and returns
// what is there afterwards: the schema version and the marks of the steps.
func migrated(t *testing.T, steps []migration, target uint64) (version uint64, marks string, txID int, err error) {
	t.Helper()
	db, err := Create(t.Context(), t.TempDir(), "vfs", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := 0
	look := func(tx *ReadTx) error {
		txID = tx.TxID()
		if version, err = tx.Schema(); err != nil {
			return err
		}
		value, err := tx.App("marks").Get([]byte("marks"))
		marks = string(value)
		return ignoreMissing(err)
	}
	if err := db.View(t.Context(), look); err != nil {
		t.Fatal(err)
	}
	before = txID
	for i := range steps {
		steps[i].from += older
	}
	result := db.migrateWith(t.Context(), steps, target+older)
	// The database has a version that its transactions refuse.
	_, err = db.update(t.Context(), func(tx *Tx) error { return look(&tx.ReadTx) })
	if err != nil {
		t.Fatal(err)
	}
	return version - older, marks, txID - 1 - before, result
}

// mark returns a step that leaves a mark.
func mark(from uint64, name string) migration {
	return migration{from: from, apply: func(tx *Tx) error {
		app := tx.App("marks")
		old, err := app.Get([]byte("marks"))
		if ignoreMissing(err) != nil {
			return err
		}
		return app.Put([]byte("marks"), append(old, name...))
	}}
}

func TestMigrations(t *testing.T) {
	broken := errors.New("broken")
	failing := func(from uint64) migration {
		return migration{from: from, apply: func(tx *Tx) error { return errors.Join(mark(from, "x").apply(tx), broken) }}
	}
	for _, c := range []struct {
		name    string
		steps   []migration
		target  uint64
		version uint64
		marks   string
		commits int
		err     error
	}{
		{"nothing to do", []migration{mark(0, "a")}, 1, 1, "", 0, nil},
		{"later steps wait for their turn", []migration{mark(1, "b")}, 1, 1, "", 0, nil},
		{"one step", []migration{mark(0, "a"), mark(1, "b")}, 2, 2, "b", 1, nil},
		{"several steps in one transaction", []migration{mark(0, "a"), mark(1, "b"), mark(2, "c"), mark(3, "d")}, 4, 4, "bcd", 1, nil},
		{"gap", []migration{mark(1, "b"), mark(3, "d")}, 4, 1, "", 0, model.ErrUnsupported},
		{"no step at all", nil, 2, 1, "", 0, model.ErrUnsupported},
		{"step that fails", []migration{mark(1, "b"), failing(2), mark(3, "d")}, 4, 1, "", 0, broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			version, marks, commits, err := migrated(t, c.steps, c.target)
			if !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if version != c.version || marks != c.marks || commits != c.commits {
				t.Errorf("version %d, marks %q, %d commits; want version %d, marks %q, %d commits",
					version, marks, commits, c.version, c.marks, c.commits)
			}
		})
	}
}

func TestMigrationKeepsTheSums(t *testing.T) {
	db, err := Create(t.Context(), t.TempDir(), "vfs", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(tx *Tx) error { return tx.CreateLayer(&model.Layer{ID: "a", Size: 7}) })
	if err != nil {
		t.Fatal(err)
	}
	// To a version and back, so that the database can be read.
	back := migration{from: SchemaVersion + 1, apply: func(*Tx) error { return nil }}
	if err := db.migrateWith(t.Context(), []migration{mark(SchemaVersion, "b"), back}, SchemaVersion+2); err != nil {
		t.Fatal(err)
	}
	_, err = db.update(t.Context(), func(tx *Tx) error {
		if err := tx.loadUsage(); err != nil {
			return err
		}
		if tx.usage.Layers != 1 || tx.usage.LayerBytes != 7 {
			t.Errorf("%+v", tx.usage)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The real table must lead to the current version without a gap.
func TestMigrationsLeadToTheCurrentVersion(t *testing.T) {
	version := uint64(1)
	for _, step := range migrations {
		if step.from != version {
			t.Errorf("a step from version %d in the place of one from %d", step.from, version)
		}
		version++
	}
	if version != SchemaVersion {
		t.Errorf("the steps lead to version %d", version)
	}
}
