package db_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// journalFrom returns the entries from a number on.
func journalFrom(t testing.TB, database *db.DB, from uint64) (entries []*db.JournalEntry) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		return tx.Journal(from, func(e *db.JournalEntry) bool { entries = append(entries, e); return true })
	})
	return entries
}

func TestJournalTellsWhoDidWhat(t *testing.T) {
	database := dbtest.New(t, db.Options{Now: fillNow})
	update(t, database, createLayer("a"), func(tx *db.Tx) error {
		return second(tx.AddNames(model.KindLayer, "a", []string{"n"}))
	})
	entries := journalFrom(t, database, 0)
	if len(entries) != 1 {
		t.Fatalf("%d entries", len(entries))
	}
	want := &db.JournalEntry{
		Seq: 1, TxID: 3, Time: fillTime, PID: os.Getpid(), Command: filepath.Base(os.Args[0]),
		Changes: []db.Change{
			{Op: db.OpCreate, Kind: model.KindLayer, ID: "a"},
			{Op: db.OpRename, Kind: model.KindLayer, ID: "a", Detail: []string{"n"}},
		},
	}
	if diff := cmp.Diff(want, entries[0], cmpopts.IgnoreFields(db.JournalEntry{}, "TxID")); diff != "" {
		t.Error(diff)
	}
}

// Each thing that can be done to an object is noted as what it is.
func TestJournalNamesTheOperations(t *testing.T) {
	for op, do := range map[db.Op]func(*db.Tx) error{
		db.OpCreate:   createLayer("new"),
		db.OpDelete:   deleteLayer("own"),
		db.OpRename:   func(tx *db.Tx) error { return second(tx.SetNames(model.KindImage, "image", nil)) },
		db.OpMetadata: func(tx *db.Tx) error { return tx.SetMetadata(model.KindImage, "image", "m") },
		db.OpData: func(tx *db.Tx) error {
			return second(tx.PutData(model.KindImage, "image", model.Data{Key: "k", Content: contentOf("f", 1)}))
		},
		db.OpMake:  changeLayer(db.OpMake),
		db.OpApply: changeLayer(db.OpApply), db.OpModify: changeLayer(db.OpModify),
		db.OpTrash: func(tx *db.Tx) error { return tx.AddTrash(db.Trash{Path: "p"}) },
		db.OpReap:  func(tx *db.Tx) error { return tx.RemoveTrash("vfs/dir/gone") },
		db.OpApp:   func(tx *db.Tx) error { return tx.App("app").Put([]byte("k"), nil) },
	} {
		t.Run(string(op), func(t *testing.T) {
			database := dbtest.New(t, db.Options{})
			update(t, database, fill)
			update(t, database, do)
			entry := journalFrom(t, database, 2)[0]
			if entry.Changes[0].Op != op {
				t.Errorf("noted as %+v", entry.Changes)
			}
		})
	}
}

func changeLayer(op db.Op) func(*db.Tx) error {
	return func(tx *db.Tx) error {
		return second(tx.UpdateLayer(op, "top", func(l *model.Layer) error { l.Made = true; return nil }))
	}
}

func TestJournalKeepsTheLatestEntriesInOrder(t *testing.T) {
	const limit = 5
	root := t.TempDir()
	database, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{JournalLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, database)
	for i := range 12 {
		update(t, database, createLayer(model.LayerID(id("l%d", i))))
		entries := journalFrom(t, database, 0)
		if len(entries) != min(i+1, limit) {
			t.Fatalf("%d entries after %d transactions", len(entries), i+1)
		}
		for k, e := range entries {
			if want := i + 1 - len(entries) + k + 1; e.Seq != uint64(want) || e.Changes[0].ID != id("l%d", want-1) {
				t.Fatalf("entry %d is %+v", k, e)
			}
		}
	}
	if entries := journalFrom(t, database, 11); len(entries) != 2 || entries[0].Seq != 11 {
		t.Errorf("from 11: %+v", entries)
	}
	if entries := journalFrom(t, database, 13); len(entries) != 0 {
		t.Errorf("from 13: %+v", entries)
	}
	// A lower limit takes effect at once.
	update(t, open(t, root, db.Options{JournalLimit: 1}), createLayer("last"))
	if entries := journalFrom(t, database, 0); len(entries) != 1 || entries[0].Seq != 13 {
		t.Errorf("with a lower limit: %+v", entries)
	}
}

func TestJournalCanBeReadInPart(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	for _, name := range []model.LayerID{"a", "b", "c"} {
		update(t, database, createLayer(name))
	}
	n := 0
	view(t, database, func(tx *db.ReadTx) error {
		return tx.Journal(0, func(*db.JournalEntry) bool { n++; return n < 2 })
	})
	if n != 2 {
		t.Errorf("%d entries were read", n)
	}
}

// A transaction may do more than is worth noting.
func TestJournalOfALargeTransaction(t *testing.T) {
	database := dbtest.New(t, db.Options{NoSync: true})
	const many = 1500
	update(t, database, func(tx *db.Tx) error {
		for i := range many {
			if err := createLayer(model.LayerID(id("l%d", i)))(tx); err != nil {
				return err
			}
		}
		return nil
	})
	entry := journalFrom(t, database, 0)[0]
	if len(entry.Changes) != 1000 || entry.Omitted != many-1000 {
		t.Errorf("%d changes are noted, %d are not", len(entry.Changes), entry.Omitted)
	}
	names := strings.Split(strings.Repeat("n", 50), "")
	for i := range names {
		names[i] += id("%d", i)
	}
	update(t, database, func(tx *db.Tx) error { return second(tx.SetNames(model.KindLayer, "l1", names)) })
	if entry := journalFrom(t, database, 2)[0]; len(entry.Changes[0].Detail) != 16 {
		t.Errorf("%d names are noted", len(entry.Changes[0].Detail))
	}
}

func TestNumbersOfTransactionsGrowByOne(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	number := func() (n int) {
		view(t, database, func(tx *db.ReadTx) error { n = tx.TxID(); return nil })
		return n
	}
	before := number()
	update(t, database, func(tx *db.Tx) error {
		if tx.TxID() != before+1 {
			t.Errorf("transaction %d follows %d", tx.TxID(), before)
		}
		return createLayer("a")(tx)
	})
	if after := number(); after != before+1 {
		t.Errorf("transaction %d follows %d", after, before)
	}
	update(t, database, func(*db.Tx) error { return nil })
	if after := number(); after != before+1 {
		t.Errorf("an empty transaction has the number %d", after)
	}
}
