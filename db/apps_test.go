package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

func TestAppBucketsKeepWhatTheyAreGiven(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	values := map[string]string{"a": "1", "b": "", "\x00\xff": "\x00", strings.Repeat("k", 32<<10): strings.Repeat("v", 100_000)}
	update(t, database, func(tx *db.Tx) error {
		for _, b := range []*db.Bucket{tx.App("app"), tx.App("app").Bucket("inner"), tx.App("other")} {
			for key, value := range values {
				if err := b.Put([]byte(key), []byte(value)); err != nil {
					return err
				}
			}
			if got, err := b.Get([]byte("a")); err != nil || string(got) != "1" {
				t.Errorf("within the transaction: %q %v", got, err)
			}
		}
		return tx.App("other").Delete([]byte("a"))
	})
	view(t, database, func(tx *db.ReadTx) error {
		for _, b := range []*db.ReadBucket{tx.App("app"), tx.App("app").Bucket("inner")} {
			got := make(map[string]string)
			err := b.Each(nil, func(key, value []byte) error { got[string(key)] = string(value); return nil })
			if diff := cmp.Diff(values, got); err != nil || diff != "" {
				t.Errorf("%s %v", diff, err)
			}
		}
		_, err := tx.App("other").Get([]byte("a"))
		wantClass(t, err, model.ErrNotFound)
		if names, err := tx.App("app").Buckets(); err != nil || !slices.Equal(names, []string{"inner"}) {
			t.Errorf("%q %v", names, err)
		}
		return nil
	})
}

func TestAppBucketThatDoesNotExistIsEmpty(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	view(t, database, func(tx *db.ReadTx) error {
		for _, b := range []*db.ReadBucket{tx.App("app"), tx.App("app").Bucket("inner")} {
			_, err := b.Get([]byte("k"))
			wantClass(t, err, model.ErrNotFound)
			err = b.Each(nil, func(_, _ []byte) error { return errors.New("there is something") })
			if names, errNames := b.Buckets(); err != nil || errNames != nil || names != nil {
				t.Errorf("%v %q %v", err, names, errNames)
			}
		}
		return nil
	})
}

func TestEachVisitsTheKeysWithAPrefixInOrder(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		app := tx.App("app")
		app.Bucket("b3") // is no value
		for _, key := range []string{"b2", "a", "b", "c", "b1", "b\xff"} {
			if err := app.Put([]byte(key), nil); err != nil {
				return err
			}
		}
		return nil
	})
	stop := errors.New("stop")
	view(t, database, func(tx *db.ReadTx) error {
		for prefix, want := range map[string]string{"": "a b b1 b2 b\xff c", "b": "b b1 b2 b\xff", "b1": "b1", "x": "", "b\xff": "b\xff"} {
			var got []string
			err := tx.App("app").Each([]byte(prefix), func(key, _ []byte) error { got = append(got, string(key)); return nil })
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%q: %q %v", prefix, got, err)
			}
		}
		n := 0
		err := tx.App("app").Each(nil, func(_, _ []byte) error { n++; return stop })
		if n != 1 {
			t.Errorf("it goes on after an error")
		}
		wantClass(t, err, stop)
		return nil
	})
}

// What a transaction returns is not changed by what comes later.
func TestAppValuesAreCopies(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error { return tx.App("app").Put([]byte("k"), []byte("value")) })
	var kept, key []byte
	view(t, database, func(tx *db.ReadTx) (err error) {
		if kept, err = tx.App("app").Get([]byte("k")); err != nil {
			return err
		}
		err = tx.App("app").Each(nil, func(k, v []byte) error { key = k; v[0] = 'X'; return nil })
		kept[0] = 'X'
		return err
	})
	for range 50 {
		update(t, database, func(tx *db.Tx) error { return tx.App("app").Put([]byte("k"), []byte("other")) })
	}
	if string(kept) != "Xalue" || string(key) != "k" {
		t.Errorf("%q %q", kept, key)
	}
}

func TestAppBucketsThatCannotBe(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error { return tx.App("app").Put([]byte("value"), nil) })
	try := func(want error, fn func(*db.Tx) error) {
		t.Helper()
		wantClass(t, database.Update(t.Context(), fn), want)
	}
	for _, name := range []string{"", "a\x00b", strings.Repeat("n", model.MaxNameLength+1)} {
		try(model.ErrInvalid, func(tx *db.Tx) error { return tx.App(name).Put([]byte("k"), nil) })
		try(model.ErrInvalid, func(tx *db.Tx) error { return tx.App("app").Bucket(name).Put([]byte("k"), nil) })
		view(t, database, func(tx *db.ReadTx) error {
			wantClass(t, second(tx.App(name).Get([]byte("k"))), model.ErrInvalid)
			return nil
		})
	}
	for _, key := range []string{"", strings.Repeat("k", 32<<10+1)} {
		try(model.ErrInvalid, func(tx *db.Tx) error { return tx.App("app").Put([]byte(key), nil) })
	}
	// A key is either a value or a bucket.
	try(model.ErrInvalid, func(tx *db.Tx) error { return tx.App("app").Bucket("value").Put([]byte("k"), nil) })
	try(model.ErrInvalid, func(tx *db.Tx) error {
		app := tx.App("app")
		return errors.Join(app.Bucket("bucket").Put([]byte("k"), nil), app.Put([]byte("bucket"), nil))
	})
}

func TestAppBucketsNestOnlySoDeep(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	nested := func(tx *db.Tx, depth int) *db.Bucket {
		b := tx.App("app")
		for i := 1; i < depth; i++ {
			b = b.Bucket("b")
		}
		return b
	}
	update(t, database, func(tx *db.Tx) error { return nested(tx, db.MaxNesting).Put([]byte("k"), []byte("v")) })
	err := database.Update(t.Context(), func(tx *db.Tx) error { return nested(tx, db.MaxNesting+1).Put([]byte("k"), nil) })
	wantClass(t, err, model.ErrInvalid)
	update(t, database, func(tx *db.Tx) error {
		if v, err := nested(tx, db.MaxNesting).Get([]byte("k")); string(v) != "v" {
			return fmt.Errorf("%q %w", v, err)
		}
		return tx.App("app").DeleteBucket("b")
	})
}

func TestDeleteBucket(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		app := tx.App("app")
		for i := range 300 {
			if err := app.Bucket("large").Bucket("inner").Put([]byte(id("k%d", i)), make([]byte, 100)); err != nil {
				return err
			}
		}
		return app.Bucket("kept").Put([]byte("k"), nil)
	})
	update(t, database, func(tx *db.Tx) error {
		app := tx.App("app")
		if err := errors.Join(app.DeleteBucket("large"), app.DeleteBucket("unknown")); err != nil {
			return err
		}
		_, err := app.Bucket("large").Bucket("inner").Get([]byte("k1"))
		wantClass(t, err, model.ErrNotFound)
		return app.Bucket("large").Put([]byte("new"), nil)
	})
	view(t, database, func(tx *db.ReadTx) error {
		names, err := tx.App("app").Buckets()
		if !slices.Equal(names, []string{"kept", "large"}) {
			t.Errorf("%q", names)
		}
		return errors.Join(err, second(tx.App("app").Bucket("large").Get([]byte("new"))))
	})
}

// The state of a program changes together with the records, or not at all.
func TestAppAndRecordsChangeTogether(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, createLayer("taken"))
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		return errors.Join(tx.App("app").Put([]byte("k"), nil), createLayer("taken")(tx))
	})
	wantClass(t, err, model.ErrDuplicateID)
	view(t, database, func(tx *db.ReadTx) error {
		wantClass(t, second(tx.App("app").Get([]byte("k"))), model.ErrNotFound)
		return nil
	})
}

// Reading in a transaction that may write must not make anything that stays.
func TestScanOfAChangingBucket(t *testing.T) {
	database := dbtest.New(t, db.Options{NoSync: true})
	const many = 2000
	update(t, database, func(tx *db.Tx) error {
		for i := range many {
			if err := tx.App("app").Put([]byte(id("k%05d", i)), make([]byte, 100)); err != nil {
				return err
			}
		}
		return nil
	})
	// Whole leaves become empty before they are read, in all places.
	for _, keep := range []func(i int) bool{
		func(i int) bool { return i > 1500 }, func(i int) bool { return i < 100 }, func(i int) bool { return i%700 == 0 },
		func(int) bool { return false },
	} {
		err := database.Update(t.Context(), func(tx *db.Tx) error {
			app := tx.App("app")
			want := 0
			for i := range many {
				if keep(i) {
					want++
				} else if err := app.Delete([]byte(id("k%05d", i))); err != nil {
					return err
				}
			}
			got := 0
			if err := app.Each([]byte("k"), func(_, _ []byte) error { got++; return nil }); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%d values are read, %d are there", got, want)
			}
			return errRegret
		})
		wantClass(t, err, errRegret)
	}
}

var errRegret = errors.New("regret")

// Values of another program, or another version, have no checksum of ours.
func TestAppValueWithoutChecksum(t *testing.T) {
	database := create(t)
	update(t, database, func(tx *db.Tx) error { return tx.App("app").Put([]byte("k"), nil) })
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		return inBucket(tx, "apps").Bucket([]byte("app")).Put([]byte("k"), []byte("raw"))
	})
	view(t, database, func(tx *db.ReadTx) error {
		wantClass(t, second(tx.App("app").Get([]byte("k"))), model.ErrCorrupt)
		return nil
	})
}
