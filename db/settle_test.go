package db_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// interrupted returns a coordinator and a database in which a transaction over both
// was interrupted, before it took effect or when it had in the coordinator.
func interrupted(t testing.TB, committed bool, options db.Options) (coordinator, other *db.DB) {
	t.Helper()
	all := []*db.DB{create(t), createWith(t, options)}
	if err := updateAll(t, all, inEach(all, createLayer("before"))...); err != nil {
		t.Fatal(err)
	}
	if err := db.Interrupt(t.Context(), all, committed, inEach(all, createLayer("new"))...); err != nil {
		t.Fatal(err)
	}
	return all[0], all[1]
}

func createWith(t testing.TB, options db.Options) *db.DB {
	t.Helper()
	database, err := db.Create(t.Context(), t.TempDir(), dbtest.Driver, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	return database
}

// hasNew tells whether a transaction sees what the interrupted one made.
func hasNew(tx *db.ReadTx) (bool, error) {
	_, err := tx.Layer("new")
	if errors.Is(err, model.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Whoever comes first after an interrupted transaction settles it, and sees all of it
// or nothing.
func TestInterruptedTransactionIsSettledByTheNext(t *testing.T) {
	for name, begin := range map[string]func(coordinator, other *db.DB) (seen bool, err error){
		"a reader": func(_, other *db.DB) (seen bool, err error) {
			err = other.View(t.Context(), func(tx *db.ReadTx) error { seen, err = hasNew(tx); return err })
			return seen, err
		},
		"a writer": func(_, other *db.DB) (seen bool, err error) {
			err = other.Update(t.Context(), func(tx *db.Tx) error { seen, err = hasNew(&tx.ReadTx); return err })
			return seen, err
		},
		"somebody who opens it": func(_, other *db.DB) (seen bool, err error) {
			again, err := db.Open(t.Context(), rootOf(other), db.Options{})
			if err != nil {
				return false, err
			}
			defer again.Close()
			err = again.View(t.Context(), func(tx *db.ReadTx) error { seen, err = hasNew(tx); return err })
			return seen, err
		},
		"a reader of both": func(coordinator, other *db.DB) (seen bool, err error) {
			err = db.ViewAll(t.Context(), []*db.DB{other, coordinator}, func(read []*db.ReadTx) error {
				seen, err = hasNew(read[0])
				return err
			})
			return seen, err
		},
		"a reader of others": func(_, other *db.DB) (seen bool, err error) {
			err = db.ViewAll(t.Context(), []*db.DB{other, create(t)}, func(read []*db.ReadTx) error {
				seen, err = hasNew(read[0])
				return err
			})
			return seen, err
		},
		"a writer of both": func(coordinator, other *db.DB) (seen bool, err error) {
			err = db.UpdateAll(t.Context(), []*db.DB{other, coordinator}, nil, func(write []*db.Tx, _ []*db.ReadTx) error {
				seen, err = hasNew(&write[0].ReadTx)
				return errors.Join(err, createLayer("after")(write[0]), createLayer("after")(write[1]))
			})
			return seen, err
		},
	} {
		for _, committed := range []bool{false, true} {
			t.Run(id("%s, committed %v", name, committed), func(t *testing.T) {
				coordinator, other := interrupted(t, committed, db.Options{})
				seen, err := begin(coordinator, other)
				if err != nil || seen != committed {
					t.Errorf("seen: %v, %v", seen, err)
				}
				wantSettled(t, other)
				layers := layersIn(t, coordinator, other)
				if strings.Join(layers[0], " ") != strings.Join(layers[1], " ") {
					t.Errorf("layers: %q", layers)
				}
				dbtest.Check(t, coordinator)
				dbtest.Check(t, other)
			})
		}
	}
}

// hide makes a directory unreachable until the function is called that it returns.
func hide(t testing.TB, root string) (show func()) {
	t.Helper()
	if err := os.Rename(root, root+".hidden"); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.Rename(root+".hidden", root); err != nil {
			t.Fatal(err)
		}
	}
}

// wantUndecided fails unless the database can be read in the state before, and not
// be written to.
func wantUndecided(t testing.TB, other *db.DB, root string, all ...*db.DB) {
	t.Helper()
	all = append(all, other)
	for range 2 {
		wantLayers(t, []*db.DB{other}, []string{"before"})
		layers := layersIn(t, all...)
		if in := layers[len(layers)-1]; len(in) != 1 {
			t.Errorf("layers: %q", in)
		}
		for _, err := range []error{
			write(t.Context(), other),
			db.UpdateAll(t.Context(), all, nil, func([]*db.Tx, []*db.ReadTx) error { return nil }),
		} {
			wantClass(t, err, model.ErrBusy)
			wantText(t, err, root, "csdb db forsake")
			if undecided, ok := errors.AsType[*db.UndecidedError](err); !ok || undecided.Prepared.Root != root || errors.Is(err, os.ErrNotExist) {
				t.Errorf("got %v", err)
			}
		}
	}
}

func TestUndecidedTransactionKeepsWritersOut(t *testing.T) {
	for _, committed := range []bool{false, true} {
		logger, hook := test.NewNullLogger()
		coordinator, other := interrupted(t, committed, db.Options{Log: logger})
		root := rootOf(coordinator)
		show := hide(t, root)
		wantUndecided(t, other, root)
		if n := len(hook.AllEntries()); n != 1 || hook.LastEntry().Level != logrus.WarnLevel {
			t.Errorf("%d warnings", n)
		}
		// Another store has taken its place.
		stranger := createWith(t, db.Options{})
		if err := os.Rename(rootOf(stranger), root); err != nil {
			t.Fatal(err)
		}
		wantUndecided(t, other, root)
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
		show()
		if err := write(t.Context(), other); err != nil {
			t.Error(err)
		}
		wantSettled(t, other)
		view(t, other, func(tx *db.ReadTx) error {
			seen, err := hasNew(tx)
			if seen != committed {
				t.Errorf("seen: %v", seen)
			}
			return err
		})
	}
}

// A coordinator that is one of the databases is asked wherever it is now; but if
// there is one where it was, that one knows better than a copy.
func TestCoordinatorMayHaveMoved(t *testing.T) {
	coordinator, other := interrupted(t, true, db.Options{})
	hide(t, rootOf(coordinator))
	moved := open(t, rootOf(coordinator)+".hidden", db.Options{})
	wantLayers(t, []*db.DB{moved, other}, []string{"before", "new"}, []string{"before", "new"})
	wantSettled(t, other)
}

func TestCopyOfTheCoordinatorIsNotAsked(t *testing.T) {
	all := []*db.DB{create(t), create(t)}
	root := t.TempDir()
	for _, name := range []string{db.FileName, db.MarkerName} {
		writeFile(t, filepath.Join(root, name), readFile(t, filepath.Join(rootOf(all[0]), name)))
	}
	old := open(t, root, db.Options{})
	if err := db.Interrupt(t.Context(), all, true, inEach(all, createLayer("new"))...); err != nil {
		t.Fatal(err)
	}
	wantLayers(t, []*db.DB{old, all[1]}, nil, []string{"new"})
}

// Who can only read cannot settle anything, and sees what was before.
func TestReadOnlyDatabaseStaysUnsettled(t *testing.T) {
	coordinator, other := interrupted(t, true, db.Options{})
	readOnly := open(t, rootOf(other), db.Options{ReadOnly: true})
	wantLayers(t, []*db.DB{readOnly}, []string{"before"})
	wantLayers(t, []*db.DB{coordinator, readOnly}, []string{"before", "new"}, []string{"before"})
	wantLayers(t, []*db.DB{other}, []string{"before", "new"})
	wantLayers(t, []*db.DB{readOnly}, []string{"before", "new"})
}

func TestForsakeGivesUpWhatNobodyDecides(t *testing.T) {
	coordinator, other := interrupted(t, true, db.Options{})
	show := hide(t, rootOf(coordinator))
	forsaken, err := other.Forsake(t.Context())
	if err != nil || len(forsaken) != 1 || forsaken[0].Root != rootOf(coordinator) {
		t.Errorf("forsaken: %+v, %v", forsaken, err)
	}
	update(t, other, createLayer("after"))
	show()
	wantLayers(t, []*db.DB{coordinator, other}, []string{"before", "new"}, []string{"before", "after"})
	if forsaken, err := other.Forsake(t.Context()); err != nil || len(forsaken) > 0 {
		t.Errorf("once more: %+v, %v", forsaken, err)
	}
	dbtest.Check(t, other)
}

func TestForsakeSettlesWhatIsDecided(t *testing.T) {
	coordinator, other := interrupted(t, true, db.Options{})
	if forsaken, err := other.Forsake(t.Context()); err != nil || len(forsaken) > 0 {
		t.Errorf("forsaken: %+v, %v", forsaken, err)
	}
	wantLayers(t, []*db.DB{coordinator, other}, []string{"before", "new"}, []string{"before", "new"})
}

// What is prepared would be wrong in a file that was written anew.
func TestUndecidedDatabaseIsNotCompacted(t *testing.T) {
	coordinator, other := interrupted(t, true, db.Options{})
	show := hide(t, rootOf(coordinator))
	_, err := other.Compact(t.Context(), db.CompactOptions{})
	if _, ok := errors.AsType[*db.UndecidedError](err); !ok {
		t.Errorf("got %v", err)
	}
	show()
	if _, err := other.Compact(t.Context(), db.CompactOptions{}); err != nil {
		t.Error(err)
	}
	wantLayers(t, []*db.DB{other}, []string{"before", "new"})
}

// What is prepared may be anything.
func TestPreparedNonsenseIsNotPerformed(t *testing.T) {
	for name, steps := range map[string][]db.Step{
		"unknown step":      {{Do: 77}},
		"no step":           {{}},
		"bucket not there":  {{Do: db.StepPut, Bucket: []string{"nowhere"}, Key: []byte("k")}},
		"no key":            {{Do: db.StepPut, Bucket: []string{"layers"}}},
		"value for bucket":  {{Do: db.StepPut, Key: []byte("layers"), Value: []byte("x")}},
		"bucket over value": {{Do: db.StepMakeBucket, Bucket: []string{"store"}, Key: []byte("info")}},
		"value as bucket":   {{Do: db.StepPut, Bucket: []string{"store", "info"}, Key: []byte("k")}},
	} {
		t.Run(name, func(t *testing.T) {
			coordinator, other := create(t), create(t)
			uuid := [2]string{infoOf(t, coordinator).UUID, infoOf(t, other).UUID}
			withBolt(t, coordinator.Path(), func(tx *bolt.Tx) error {
				return db.PutRecord(inBucket(tx, "decided"), "decided", uuid[1], &db.Decided{Store: uuid[1], Tx: "tx"})
			})
			withBolt(t, other.Path(), func(tx *bolt.Tx) error {
				return db.PutRecord(inBucket(tx, "prepared"), "prepared", "tx", &db.Prepared{
					Tx: "tx", Coordinator: uuid[0], Root: rootOf(coordinator), Steps: append(steps, db.Step{Do: 77}),
				})
			})
			wantLayers(t, []*db.DB{other}, nil)
			wantClass(t, write(t.Context(), other), model.ErrBusy)
			if forsaken, err := other.Forsake(t.Context()); err != nil || len(forsaken) != 1 {
				t.Errorf("%+v, %v", forsaken, err)
			}
			if err := write(t.Context(), other); err != nil {
				t.Error(err)
			}
		})
	}
}

// A database that names itself, or a path that is none, is no coordinator.
func TestStrangeCoordinatorsAreNotAsked(t *testing.T) {
	database := create(t)
	stranger, itself := infoOf(t, create(t)).UUID, infoOf(t, database).UUID
	for _, root := range []string{rootOf(database), ".", "", "/dev/null", "relative"} {
		withBolt(t, database.Path(), func(tx *bolt.Tx) error {
			return db.PutRecord(inBucket(tx, "prepared"), "prepared", "tx", &db.Prepared{Tx: "tx", Coordinator: stranger, Root: root})
		})
		wantClass(t, write(t.Context(), database), model.ErrBusy)
	}
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		return db.PutRecord(inBucket(tx, "prepared"), "prepared", "tx", &db.Prepared{Tx: "tx", Coordinator: itself, Root: rootOf(database)})
	})
	wantClass(t, write(t.Context(), database), model.ErrBusy)
	wantLayers(t, []*db.DB{database}, nil)
}
