package db_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// fillUp fills the file system of a directory to the last byte, and returns the
// file that does it.
func fillUp(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		_, err := f.Write(make([]byte, size))
		if err == nil {
			err = f.Sync()
		}
		switch {
		case errors.Is(err, unix.ENOSPC):
			size /= 4
		case err != nil:
			t.Fatal(err)
		}
	}
	return path
}

// fullDisk makes a store with many objects and then fills its disk.
func fullDisk(t *testing.T, fs string, size int64) (database *db.DB, ballast string) {
	t.Helper()
	root := testutil.Loop{FS: fs, Size: size}.Mount(t).Dir()
	database, err := db.Create(t.Context(), root, "vfs", db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, database)
	for i := range 10 {
		update(t, database, func(tx *db.Tx) error {
			for k := range 100 {
				if err := createLayer(model.LayerID(id("layer-%d-%d", i, k)))(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return database, fillUp(t, root)
}

// diskSizes are small disks of each kind.
var diskSizes = map[string]int64{"ext4": 24 << 20, "xfs": 320 << 20, "btrfs": 120 << 20}

func TestFullDisk(t *testing.T) {
	for fs, size := range diskSizes {
		t.Run(fs, func(t *testing.T) {
			database, ballast := fullDisk(t, fs, size)
			// What can be created until then has its place already.
			var err error
			for n := 0; err == nil && n < 1000; n++ {
				err = database.Update(t.Context(), func(tx *db.Tx) error {
					return tx.CreateLayer(&model.Layer{ID: model.LayerID(id("late-%d", n)), Metadata: string(make([]byte, 50_000))})
				})
			}
			wantClass(t, err, model.ErrNoSpace)
			wantText(t, err, "reserve")
			if db.IsUnknown(err) {
				t.Errorf("the outcome is said to be unknown: %v", err)
			}
			// Nothing that makes something new is possible, whatever it is.
			for name, change := range map[string]func(tx *db.Tx, n int) error{
				"image": func(tx *db.Tx, n int) error { return tx.CreateImage(&model.Image{ID: model.ImageID(id("i%d", n))}) },
				"data item": func(tx *db.Tx, n int) error {
					return second(tx.PutData(model.KindLayer, "layer-0-0", model.Data{Key: id("k%d", n), Content: contentOf(id("f%d", n), 1)}))
				},
				"value of a program": func(tx *db.Tx, n int) error { return tx.App("app").Put([]byte(id("k%d", n)), make([]byte, 5000)) },
			} {
				err = nil
				for n := 0; err == nil && n < 1000; n++ {
					err = database.Update(t.Context(), func(tx *db.Tx) error { return change(tx, n) })
				}
				if wantClass(t, err, model.ErrNoSpace); t.Failed() {
					t.Errorf("%s", name)
				}
			}
			// All that was there can be deleted, one by one and many at once.
			for i := range 10 {
				for k := range 5 {
					update(t, database, deleteLayer(model.LayerID(id("layer-%d-%d", i, k))))
				}
			}
			update(t, database, func(tx *db.Tx) error {
				for i := range 10 {
					for k := 5; k < 90; k++ {
						if err := deleteLayer(model.LayerID(id("layer-%d-%d", i, k)))(tx); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			update(t, database, createLayer("after"))
		})
	}
}

func deleteLayer(id model.LayerID) func(*db.Tx) error {
	return func(tx *db.Tx) error {
		_, _, err := tx.DeleteLayer(id)
		return err
	}
}

// The file must have blocks behind every byte: a write to a hole fails on a
// full disk.
func TestFileHasNoHoles(t *testing.T) {
	for fs, size := range diskSizes {
		t.Run(fs, func(t *testing.T) {
			root := testutil.Loop{FS: fs, Size: size}.Mount(t).Dir()
			database, err := db.Create(t.Context(), root, "vfs", db.Options{})
			if err != nil {
				t.Fatal(err)
			}
			dbtest.CheckAtEnd(t, database)
			check := func() {
				t.Helper()
				var stat unix.Stat_t
				if err := unix.Stat(database.Path(), &stat); err != nil {
					t.Fatal(err)
				}
				if stat.Blocks*512 < stat.Size {
					t.Errorf("%d bytes of blocks in a file of %d bytes", stat.Blocks*512, stat.Size)
				}
			}
			update(t, database, createLayer("first"))
			check()
			update(t, database, func(tx *db.Tx) error { return tx.App("app").Put([]byte("k"), make([]byte, 5<<20)) })
			check()
			// Copies may have holes, and get blocks with the next transaction.
			const hole = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
			report, err := db.CheckFile(t.Context(), database.Path())
			if err != nil {
				t.Fatal(err)
			}
			used := int64(report.Pages * report.PageSize)
			if err := unix.Fallocate(int(mustOpen(t, database.Path()).Fd()), hole, used, mustSize(t, database.Path())-used); err != nil {
				t.Fatal(err)
			}
			update(t, database, createLayer("second"))
			check()
		})
	}
}

func mustOpen(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A transaction that is larger than what is left fails as a whole, and leaves
// the reserve alone.
func TestLargeTransactionOnANearlyFullDisk(t *testing.T) {
	root := testutil.Loop{FS: "ext4", Size: diskSizes["ext4"]}.Mount(t).Dir()
	database, err := db.Create(t.Context(), root, "vfs", db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, database)
	update(t, database, createLayer("first"))
	ballast := fillUp(t, root)
	truncate(t, ballast, mustSize(t, ballast)-(3<<20))
	for _, size := range []int{8 << 20, 4 << 20, 5 << 19} {
		err := database.Update(t.Context(), func(tx *db.Tx) error {
			return tx.App("app").Put([]byte("k"), make([]byte, size))
		})
		if err != nil {
			wantClass(t, err, model.ErrNoSpace)
			wantText(t, err, "reserve")
		}
		if db.IsUnknown(err) {
			t.Errorf("the outcome is said to be unknown: %v", err)
		}
		fillUp(t, root)
		update(t, database, func(tx *db.Tx) error { return tx.App("app").Delete([]byte("k")) })
		truncate(t, ballast, mustSize(t, ballast)-(3<<20))
	}
}

// Where no blocks can be reserved in advance, a commit may find out that the
// disk is full. Then nothing has changed, and that is known.
func TestCommitThatFindsTheDiskFull(t *testing.T) {
	// Without extents ext4 cannot allocate.
	root := testutil.Loop{FS: "ext4", Size: diskSizes["ext4"], Mkfs: []string{"-O", "^extents,^64bit"}}.Mount(t).Dir()
	database, err := db.Create(t.Context(), root, "vfs", db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, database)
	update(t, database, createLayer("first"))
	ballast := fillUp(t, root)
	err = database.Update(t.Context(), func(tx *db.Tx) error {
		return errors.Join(createLayer("lost")(tx), tx.App("app").Put([]byte("k"), make([]byte, 8<<20)))
	})
	wantClass(t, err, model.ErrNoSpace, unix.ENOSPC)
	if db.IsUnknown(err) {
		t.Errorf("the outcome is said to be unknown: %v", err)
	}
	if ids := layerIDs(t, database); len(ids) != 1 {
		t.Errorf("there are the layers %q", ids)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	update(t, database, createLayer("second"))
}

func mustSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
