package db_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// remount changes whether a mounted file system can be written to.
func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// On a file system that is read-only a store can be read, and nothing is made
// or locked.
func TestReadOnlyFileSystem(t *testing.T) {
	for name, files := range map[string][]string{
		"with lock files":    nil,
		"without lock files": {db.LockName, db.LockName + ".queue"},
		"without a marker":   {db.MarkerName},
	} {
		t.Run(name, func(t *testing.T) {
			root := testutil.Loop{FS: "ext4", Size: 32 << 20}.Mount(t).Dir()
			writer, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{})
			if err != nil {
				t.Fatal(err)
			}
			update(t, writer, fill)
			writer.Close()
			for _, file := range files {
				if err := os.Remove(filepath.Join(root, file)); err != nil {
					t.Fatal(err)
				}
			}
			before := filesIn(t, root)
			remount(t, root, unix.MS_RDONLY)
			for _, options := range []db.Options{{}, {ReadOnly: true}} {
				database := open(t, root, options)
				dbtest.Check(t, database)
				if ids := layerIDs(t, database); len(ids) != 3 {
					t.Errorf("found %q", ids)
				}
				wantClass(t, database.Update(t.Context(), createLayer("x")), model.ErrReadOnly)
				// Many readers at once.
				view(t, database, func(*db.ReadTx) error {
					other := make(chan error)
					go func() { other <- read(t.Context(), database) }()
					return <-other
				})
			}
			if after := filesIn(t, root); !slices.Equal(before, after) {
				t.Errorf("files before: %q, after: %q", before, after)
			}
		})
	}
}

// Reading must not make files anywhere.
func TestReadOnlyDatabaseMakesNoFiles(t *testing.T) {
	database := create(t)
	update(t, database, fill)
	root := t.TempDir()
	if err := database.Backup(t.Context(), filepath.Join(root, db.FileName)); err != nil {
		t.Fatal(err)
	}
	reader := open(t, root, db.Options{ReadOnly: true})
	if ids := layerIDs(t, reader); len(ids) != 3 {
		t.Errorf("found %q", ids)
	}
	if names := filesIn(t, root); len(names) != 1 {
		t.Errorf("made: %q", names)
	}
}

// Who reads without lock files, or may not lock, waits for bbolt's own lock.
func TestReaderWithoutALockSeesNoHalfTransactions(t *testing.T) {
	database := create(t)
	root := t.TempDir()
	if err := database.Backup(t.Context(), filepath.Join(root, db.FileName)); err != nil {
		t.Fatal(err)
	}
	reader := open(t, root, db.Options{ReadOnly: true}) // before there are lock files
	h := startHolder(t, "writer", root)
	err := testutil.GiveUp(t, inQueue, func(ctx context.Context) error { return read(ctx, reader) })
	wantHolder(t, err, h.Process.Pid, "db.test")
	waiting := testutil.Start(func() error { return read(t.Context(), reader) })
	waiting.AwaitWait(t, inQueue)
	h.letGo(t)
	if err := waiting.Result(); err != nil {
		t.Error(err)
	}
	if ids := layerIDs(t, reader); len(ids) != 1 {
		t.Errorf("found %q", ids)
	}
}

// Somebody who may read the files but not write to them can read the store.
func TestReaderWithoutPermissionToLock(t *testing.T) {
	testutil.NeedRoot(t)
	database := create(t)
	update(t, database, createLayer("x"))
	root := rootOf(database)
	for p := root; p != "/" && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range filesIn(t, root) {
		if err := os.Chmod(filepath.Join(root, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	child := testutil.Child(t, "nobody", root)
	if out, err := child.Output(); err != nil || string(out) != "1" {
		t.Errorf("a user who may only read finds %q layers: %v", out, err)
	}
}
