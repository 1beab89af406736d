package db_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
)

// step is what a db.Progress was told of one step.
type step struct {
	what        string
	total, done int64
}

// told returns a db.Progress and what it has been told.
func told() (db.Progress, *[]*step) {
	steps := &[]*step{}
	return func(what string, total int64) func(int64) {
		s := &step{what: what, total: total}
		*steps = append(*steps, s)
		return func(n int64) { s.done += n }
	}, steps
}

func TestProgressComesToTheTotal(t *testing.T) {
	database := dbtest.New(t, db.Options{NoAutoCompact: true})
	update(t, database, fill)
	update(t, database, func(tx *db.Tx) error {
		var err error
		for i := range 2000 {
			err = errors.Join(err, tx.App("com.example.large").Put([]byte{byte(i >> 8), byte(i)}, make([]byte, 900)))
		}
		return err
	})
	shrink(t, database)
	backup := filepath.Join(t.TempDir(), "backup")
	for _, test := range []struct {
		name string
		want string
		// exact means that all is worked on once: otherwise something may be
		// left.
		exact bool
		do    func(db.Progress) error
	}{
		{"backup", "copying", true, func(p db.Progress) error {
			return database.BackupWith(t.Context(), backup, db.BackupOptions{Progress: p})
		}},
		{"look", "reading", false, func(p db.Progress) error {
			return second(db.Look(t.Context(), database.Path(), db.LookOptions{Wait: time.Minute, Progress: p}, nil))
		}},
		{"salvage", "reading", false, func(p db.Progress) error {
			return second(db.Salvage(t.Context(), backup, p))
		}},
		{"compact", "compacting", true, func(p db.Progress) error {
			return second(database.Compact(t.Context(), db.CompactOptions{Progress: p}))
		}},
		{"restore", "copying", true, func(p db.Progress) error {
			return second(db.Restore(t.Context(), rootOf(database), backup, db.RestoreOptions{Progress: p}))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			progress, steps := told()
			if err := test.do(progress); err != nil {
				t.Fatal(err)
			}
			if len(*steps) != 1 {
				t.Fatalf("%d steps", len(*steps))
			}
			s := (*steps)[0]
			if s.what != test.want || s.total < 1<<20 || s.done > s.total || s.done < s.total/8 || test.exact && s.done != s.total {
				t.Errorf("got %+v", *s)
			}
		})
	}
}

// Copying and comparing are told of as they go on, not all at the end.
func TestProgressOfCompactionIsToldAllAlong(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		var err error
		for i := range 1000 {
			err = errors.Join(err, tx.App("com.example.large").Put([]byte{byte(i >> 8), byte(i)}, make([]byte, 900)))
		}
		return err
	})
	calls, most, total := 0, int64(0), int64(0)
	_, err := database.Compact(t.Context(), db.CompactOptions{Progress: func(_ string, n int64) func(int64) {
		total = n
		return func(n int64) { calls++; most = max(most, n) }
	}})
	if err != nil {
		t.Fatal(err)
	}
	// How full pages are cannot be told in advance.
	if calls < 3000 || most > total*2/3 {
		t.Errorf("%d calls, of up to %d of %d bytes", calls, most, total)
	}
}
