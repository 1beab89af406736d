package db_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// places are all notes about other places.
type places struct {
	Holds     []db.Hold
	Elsewhere []db.Elsewhere
	Runs      []db.RunRoot
}

func placesOf(t testing.TB, database *db.DB) (all places) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		var errs [3]error
		all.Holds, errs[0] = tx.AllHolds()
		all.Elsewhere, errs[1] = tx.AllElsewhere()
		all.Runs, errs[2] = tx.Runs()
		return errors.Join(errs[:]...)
	})
	return all
}

func wantPlaces(t testing.TB, database *db.DB, want places) {
	t.Helper()
	if diff := cmp.Diff(want, placesOf(t, database), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestHoldsElsewhereAndRunsAreKept(t *testing.T) {
	database := dbtest.New(t, db.Options{Now: fillNow})
	update(t, database, createLayer("a"), createLayer("b"))
	hold := db.Hold{Kind: model.KindLayer, ID: "b", Store: "u1", Root: "/one", Since: fillTime}
	until := db.Hold{Kind: model.KindLayer, ID: "b", Store: "u2", Root: "/two", RunRoot: "/run", Boot: "boot", Since: fillTime}
	far := db.Elsewhere{Kind: model.KindImage, ID: "i", Store: "u3", Root: "/three"}
	run := db.RunRoot{Path: "/run", Boot: "boot", Since: fillTime}
	update(t, database, func(tx *db.Tx) error {
		return errors.Join(tx.AddHold(until), tx.AddHold(hold), tx.SetElsewhere(far), tx.SetRun(run))
	})
	wantPlaces(t, database, places{[]db.Hold{hold, until}, []db.Elsewhere{far}, []db.RunRoot{run}})
	view(t, database, func(tx *db.ReadTx) error {
		ofA, errA := tx.Holds(model.KindLayer, "a")
		ofB, errB := tx.Holds(model.KindLayer, "b")
		ofImage, errImage := tx.Holds(model.KindImage, "b")
		if len(ofA) != 0 || len(ofB) != 2 || len(ofImage) != 0 {
			t.Errorf("%v %v %v", ofA, ofB, ofImage)
		}
		_, err := tx.Elsewhere(model.KindImage, "j")
		wantClass(t, err, model.ErrNotFound)
		e, err := tx.Elsewhere(model.KindImage, "i")
		if err != nil || *e != far {
			t.Errorf("%v %v", e, err)
		}
		return errors.Join(errA, errB, errImage)
	})
	far.Root = "/moved"
	update(t, database, func(tx *db.Tx) error {
		return errors.Join(tx.RemoveHold(model.KindLayer, "b", "u1"), tx.SetElsewhere(far), tx.RemoveRun("/run"))
	})
	wantPlaces(t, database, places{[]db.Hold{until}, []db.Elsewhere{far}, nil})
	update(t, database, func(tx *db.Tx) error { return tx.RemoveElsewhere(model.KindImage, "i") })
	wantPlaces(t, database, places{Holds: []db.Hold{until}})
}

// What is said once more, or about nothing, is no change, and costs no commit.
func TestNotesThatSayNothingNewAreNotCommitted(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	say := func(tx *db.Tx) error {
		return errors.Join(
			tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "a", Store: "u"}),
			tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: "x", Store: "u"}), tx.SetRun(db.RunRoot{Path: "/run", Boot: "b"}),
			tx.RemoveHold(model.KindLayer, "a", "v"), tx.RemoveElsewhere(model.KindLayer, "y"), tx.RemoveRun("/other"))
	}
	update(t, database, createLayer("a"), say)
	before := lastTx(t, database)
	update(t, database, say)
	if after := lastTx(t, database); after != before {
		t.Errorf("transaction %d was committed after %d", after, before)
	}
	// A note alone is a change, of which the journal says nothing.
	update(t, database, func(tx *db.Tx) error { return tx.RemoveRun("/run") })
	wantPlaces(t, database, places{
		Holds:     placesOf(t, database).Holds,
		Elsewhere: []db.Elsewhere{{Kind: model.KindLayer, ID: "x", Store: "u"}},
	})
	if after := lastTx(t, database); after != before+1 {
		t.Errorf("transaction %d was committed after %d", after, before)
	}
	entries := 0
	view(t, database, func(tx *db.ReadTx) error {
		return tx.Journal(0, func(*db.JournalEntry) bool { entries++; return true })
	})
	if entries != 1 {
		t.Errorf("the journal has %d entries", entries)
	}
}

// lastTx returns the number of the last transaction.
func lastTx(t testing.TB, database *db.DB) (last int) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		last = tx.TxID()
		return nil
	})
	return last
}

func TestNotesThatMakeNoSenseAreRefused(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("a"))
	for name, test := range map[string]struct {
		do   func(*db.Tx) error
		want error
	}{
		"hold on nothing":          {func(tx *db.Tx) error { return tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "b", Store: "u"}) }, model.ErrLayerUnknown},
		"hold on a thing":          {func(tx *db.Tx) error { return tx.AddHold(db.Hold{Kind: "thing", ID: "a", Store: "u"}) }, model.ErrInvalid},
		"hold of nobody":           {func(tx *db.Tx) error { return tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "a"}) }, model.ErrInvalid},
		"hold of a strange store":  {func(tx *db.Tx) error { return tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "a", Store: "u\x00v"}) }, model.ErrInvalid},
		"place of nothing":         {func(tx *db.Tx) error { return tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, Store: "u"}) }, model.ErrInvalid},
		"place of a thing":         {func(tx *db.Tx) error { return tx.SetElsewhere(db.Elsewhere{Kind: "thing", ID: "a", Store: "u"}) }, model.ErrInvalid},
		"object that is nowhere":   {func(tx *db.Tx) error { return tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: "a"}) }, model.ErrInvalid},
		"run root without path":    {func(tx *db.Tx) error { return tx.SetRun(db.RunRoot{}) }, model.ErrInvalid},
		"run root that is no path": {func(tx *db.Tx) error { return tx.SetRun(db.RunRoot{Path: "/a\x00b"}) }, model.ErrInvalid},
	} {
		if err := database.Update(t.Context(), test.do); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestHoldsCountAtTheirBoot(t *testing.T) {
	for boot, want := range map[string]bool{"": true, "now": true, "then": false} {
		if h := (db.Hold{Boot: boot}); h.Counts("now") != want {
			t.Errorf("a hold of boot %q counts: %v", boot, !want)
		}
	}
}

func TestWhoRefersToObjectsElsewhere(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		return errors.Join(
			tx.CreateLayer(&model.Layer{ID: "child", Parent: "parent"}),
			tx.CreateImage(&model.Image{ID: "image", TopLayer: "top", MappedTopLayers: []model.LayerID{"mapped"}}),
			tx.CreateContainer(&model.Container{ID: "container", Image: "base", Layer: "own"}))
	})
	view(t, database, func(tx *db.ReadTx) error {
		for _, test := range []struct {
			kind model.Kind
			id   string
			want bool
		}{
			{model.KindLayer, "parent", true},
			{model.KindLayer, "top", true},
			{model.KindLayer, "mapped", true},
			{model.KindLayer, "own", true},
			{model.KindLayer, "child", false},
			{model.KindLayer, "ow", false},
			{model.KindLayer, "base", false},
			{model.KindImage, "base", true},
			{model.KindImage, "image", false},
			{model.KindContainer, "container", false},
		} {
			if got, err := tx.IsReferred(test.kind, test.id); err != nil || got != test.want {
				t.Errorf("%s %s: %v, %v", test.kind, test.id, got, err)
			}
		}
		return nil
	})
}

// A reference to an object that is noted to be elsewhere leads somewhere.
func TestReferencesToOtherStoresAreNoProblem(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		errs := []error{
			tx.CreateLayer(&model.Layer{ID: "child", Parent: "parent"}),
			tx.CreateImage(&model.Image{ID: "image", TopLayer: "top"}),
			tx.CreateContainer(&model.Container{ID: "container", Image: "base", Layer: "own"}),
			tx.SetElsewhere(db.Elsewhere{Kind: model.KindImage, ID: "base", Store: "u"}),
		}
		for _, id := range []string{"parent", "top", "own"} {
			errs = append(errs, tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: id, Store: "u"}))
		}
		return errors.Join(errs...)
	})
	if problems := dbtest.Problems(t, database); len(problems) > 0 {
		t.Errorf("found %v", problems)
	}
}

// placeV1 puts the golden database of version 1 into a directory.
func placeV1(t testing.TB) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, name := range []string{db.FileName, db.MarkerName} {
		writeFile(t, filepath.Join(root, name), readFile(t, filepath.Join(goldenStores, "v1", name)))
	}
	return root
}

// A database of version 1 that cannot be written to is read as it is.
func TestOlderSchemaCanBeRead(t *testing.T) {
	root := placeV1(t)
	before := readFile(t, filepath.Join(root, db.FileName))
	database := open(t, root, db.Options{ReadOnly: true})
	wantPlaces(t, database, places{})
	view(t, database, func(tx *db.ReadTx) error {
		version, errVersion := tx.Schema()
		text, err := dump(tx)
		if version != 1 || text == "" {
			t.Errorf("version %d", version)
		}
		_, errFar := tx.Elsewhere(model.KindLayer, "base")
		wantClass(t, errFar, model.ErrNotFound)
		return errors.Join(errVersion, err)
	})
	if problems := dbtest.Problems(t, database); len(problems) > 0 {
		t.Errorf("found %v", problems)
	}
	if string(before) != string(readFile(t, filepath.Join(root, db.FileName))) {
		t.Error("the file has changed")
	}
}

// Somebody may put a database of an older version in place while the store is in
// use.
func TestOlderSchemaIsMigratedByTheNextChange(t *testing.T) {
	database := create(t)
	root := rootOf(database)
	old := placeV1(t)
	if _, err := db.Restore(t.Context(), root, filepath.Join(old, db.FileName), db.RestoreOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	wantSchema(t, database, db.SchemaVersion) // the restored one is brought up to date
	overwrite(t, database.Path(), readFile(t, filepath.Join(old, db.FileName)))
	wantSchema(t, database, 1)
	update(t, database, func(tx *db.Tx) error {
		return errors.Join(tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: "x", Store: "u"}), tx.CreateLayer(&model.Layer{ID: "y", Parent: "x"}))
	})
	wantSchema(t, database, db.SchemaVersion)
	dbtest.Check(t, database)
}

func wantSchema(t testing.TB, database *db.DB, want uint64) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) error {
		version, err := tx.Schema()
		if version != want {
			t.Errorf("schema version %d instead of %d", version, want)
		}
		return err
	})
}

// A transaction that fails takes its migration back with it.
func TestFailedChangeDoesNotMigrate(t *testing.T) {
	database := create(t)
	overwrite(t, database.Path(), readFile(t, filepath.Join(placeV1(t), db.FileName)))
	wantClass(t, database.Update(t.Context(), func(*db.Tx) error { return model.ErrBusy }), model.ErrBusy)
	wantSchema(t, database, 1)
}
