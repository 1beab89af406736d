package db_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestBackupIsTheDatabaseAtOneMoment(t *testing.T) {
	database := dbtest.New(t, db.Options{Now: fillNow})
	update(t, database, fill)
	want := dumpOf(t, database)
	// It can be put in the place of a database, with or without a marker.
	root := t.TempDir()
	path := filepath.Join(root, db.FileName)
	old := unix.Umask(0)
	err := database.Backup(t.Context(), path)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	restored := open(t, root, db.Options{Now: fillNow})
	dbtest.CheckAtEnd(t, restored)
	if got := dumpOf(t, restored); got != want {
		t.Errorf("the copy has %s\ninstead of %s", got, want)
	}
	update(t, restored, createLayer("new"))
}

func TestBackupBesideWriters(t *testing.T) {
	database := dbtest.New(t, db.Options{NoSync: true})
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for ctx.Err() == nil {
				// Two layers come and go together.
				err := database.Update(ctx, func(tx *db.Tx) error {
					if _, _, err := tx.DeleteLayer("a"); err == nil {
						_, _, err = tx.DeleteLayer("b")
						return err
					}
					return errors.Join(createLayer("a")(tx), createLayer("b")(tx))
				})
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		root := filepath.Join(t.TempDir(), id("backup-%d", i))
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := database.Backup(t.Context(), filepath.Join(root, db.FileName)); err != nil {
			t.Fatal(err)
		}
		restored := open(t, root, db.Options{})
		dbtest.Check(t, restored)
		if ids := layerIDs(t, restored); len(ids) == 1 {
			t.Errorf("half of a transaction is in the copy: %q", ids)
		}
	}
	stop()
	writers.Wait()
}

func TestBackupReplacesNothing(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	writeFile(t, path, []byte("precious"))
	wantClass(t, database.Backup(t.Context(), path), model.ErrExists)
	if string(readFile(t, path)) != "precious" {
		t.Error("the file was replaced")
	}
	wantClass(t, database.Backup(t.Context(), database.Path()), model.ErrExists)
	if names := filesIn(t, dir); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
}

func TestBackupThatFailsLeavesNothing(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantClass(t, database.Backup(ctx, filepath.Join(dir, "copy")), context.Canceled)
	wantClass(t, database.Backup(t.Context(), filepath.Join(dir, "missing", "copy")), os.ErrNotExist)
	if names := filesIn(t, dir); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
	full := testutil.Loop{FS: "ext4", Size: 8 << 20}.Mount(t).Dir()
	fillUp(t, full)
	wantClass(t, database.Backup(t.Context(), filepath.Join(full, "copy")), model.ErrNoSpace)
	if names := filesIn(t, full); len(names) != 1 {
		t.Errorf("left behind: %q", names)
	}
}

// A backup is not taken of what is damaged, so that nobody relies on it.
func TestBackupOfADamagedDatabaseIsRefused(t *testing.T) {
	database := create(t)
	image := smallImage(t)
	for _, id := range pagesOf(image, branchPage, 2) {
		setChild(image, id, 0, id)
	}
	writeFile(t, database.Path(), image)
	if err := os.Remove(filepath.Join(rootOf(database), db.MarkerName)); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	wantClass(t, database.Backup(t.Context(), copied), model.ErrCorrupt)
	if exists(copied) {
		t.Error("it was taken all the same")
	}
}
