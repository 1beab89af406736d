package db_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// The IDs of boots.
const (
	thisBoot = "3f2a53c1-9a1b-4a35-9c6c-1d2b7a9a0001"
	nextBoot = "3f2a53c1-9a1b-4a35-9c6c-1d2b7a9a0002"
)

// openVolatile opens a volatile database until the test ends.
func openVolatile(t testing.TB, dir, boot string) *db.DB {
	t.Helper()
	database, err := db.OpenVolatileAtBoot(t.Context(), dir, "uuid", boot, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	return database
}

func TestVolatileDatabaseIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "volatile")
	if found, err := db.HasVolatile(dir); err != nil || found {
		t.Errorf("it is there: %v, %v", found, err)
	}
	_, err := db.OpenVolatile(t.Context(), dir, "uuid", dbtest.Driver, db.Options{ReadOnly: true})
	wantClass(t, err, fs.ErrNotExist)
	if exists(dir) {
		t.Error("reading has made it")
	}
	for _, want := range [][]string{nil, {"a"}} {
		database, err := db.OpenVolatile(t.Context(), dir, "uuid", dbtest.Driver, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		wantLayers(t, []*db.DB{database}, want)
		if want == nil {
			update(t, database, createLayer("a"))
		}
		dbtest.Check(t, database)
		if found, err := db.HasVolatile(dir); err != nil || !found {
			t.Errorf("it is there: %v, %v", found, err)
		}
		info, err := os.Stat(rootOf(database))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}
		database.Close()
	}
}

func TestVolatileDatabaseVanishesWithItsBoot(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "other"), []byte("not ours"))
	then := openVolatile(t, dir, thisBoot)
	update(t, then, createLayer("a"))
	then.Close()
	// A power cut may leave anything.
	writeFile(t, then.Path(), []byte("half"))
	now := openVolatile(t, dir, nextBoot)
	wantLayers(t, []*db.DB{now}, nil)
	if infoOf(t, now).Of != "uuid" || infoOf(t, now).UUID == "uuid" {
		t.Errorf("%+v", infoOf(t, now))
	}
	if exists(rootOf(then)) || !exists(filepath.Join(dir, "other")) {
		t.Error("too much is left, or too little")
	}
}

func TestVolatileDatabaseOfAnotherStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	openVolatile(t, dir, thisBoot)
	_, err := db.OpenVolatileAtBoot(t.Context(), dir, "another", thisBoot, db.Options{})
	wantClass(t, err, model.ErrInvalid)
}

func TestVolatileDatabaseIsMadeByOneOfMany(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			database, err := db.OpenVolatileAtBoot(t.Context(), dir, "uuid", thisBoot, db.Options{})
			if err == nil {
				err = errors.Join(database.Update(t.Context(), createLayer(model.LayerID(id("%d", i)))))
				database.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if layers := layersIn(t, openVolatile(t, dir, thisBoot))[0]; len(layers) != 8 {
		t.Errorf("layers: %q", layers)
	}
}

// Run roots are cleaned by programs that know nothing of us.
func TestVolatileDatabaseIsMadeAnewInACleanedRunRoot(t *testing.T) {
	for name, clean := range map[string]func(root string) error{
		"all":          os.RemoveAll,
		"the database": func(root string) error { return os.Remove(filepath.Join(root, db.FileName)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			before := openVolatile(t, dir, thisBoot)
			update(t, before, createLayer("a"))
			if err := clean(rootOf(before)); err != nil {
				t.Fatal(err)
			}
			wantClass(t, write(t.Context(), before), fs.ErrNotExist)
			after := openVolatile(t, dir, thisBoot)
			update(t, after, createLayer("b"))
			wantLayers(t, []*db.DB{after}, []string{"b"})
		})
	}
}

// The coordinator is one that survives a power cut, and forgets what it has decided
// for databases that have not.
func TestVolatileDatabaseDoesNotCoordinate(t *testing.T) {
	database, dir := create(t), t.TempDir()
	boot, err := db.BootID()
	if err != nil {
		t.Fatal(err)
	}
	for round, at := range []string{thisBoot, nextBoot, boot, boot} {
		volatile := openVolatile(t, dir, at)
		all := []*db.DB{volatile, database}
		if err := updateAll(t, all, inEach(all, createLayer(model.LayerID(id("%d", round))))...); err != nil {
			t.Fatal(err)
		}
		view(t, database, func(tx *db.ReadTx) error {
			decided, err := tx.AllDecided()
			if len(decided) != 1 || decided[0].Boot != at || decided[0].Store != infoOf(t, volatile).UUID {
				t.Errorf("decided: %+v", decided)
			}
			return err
		})
		volatile.Close()
	}
}

// What a volatile database that has vanished was to change need not be changed.
func TestVolatileDatabaseMayVanishInTheMiddle(t *testing.T) {
	for _, committed := range []bool{false, true} {
		database, dir := create(t), t.TempDir()
		volatile := openVolatile(t, dir, thisBoot)
		all := []*db.DB{database, volatile}
		if err := db.Interrupt(t.Context(), all, committed, inEach(all, createLayer("new"))...); err != nil {
			t.Fatal(err)
		}
		volatile.Close()
		all[1] = openVolatile(t, dir, nextBoot)
		if err := updateAll(t, all, inEach(all, createLayer("after"))...); err != nil {
			t.Fatal(err)
		}
		wantSettled(t, all...)
		wantLayers(t, all[1:], []string{"after"})
		if n := len(layersIn(t, database)[0]); (n == 2) != committed {
			t.Errorf("committed %v, and there are %d layers", committed, n)
		}
	}
}
