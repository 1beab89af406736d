package db_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func infoOf(t testing.TB, database *db.DB) (info *db.Info) {
	t.Helper()
	view(t, database, func(tx *db.ReadTx) (err error) {
		info, err = tx.Info()
		return err
	})
	return info
}

// filesIn lists a directory.
func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestCreateMakesAStoreAndOpenFindsIt(t *testing.T) {
	root := t.TempDir()
	created, err := db.Create(t.Context(), root, "overlay", db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, created)
	info := infoOf(t, created)
	if info.Driver != "overlay" || len(info.UUID) != 36 || info.Created.IsZero() || info.Features != nil {
		t.Errorf("%+v", info)
	}
	if diff := cmp.Diff(info, infoOf(t, open(t, root, db.Options{}))); diff != "" {
		t.Error(diff)
	}
	want := []string{db.FileName, db.MarkerName, db.LockName, db.LockName + ".queue"}
	if diff := cmp.Diff(want, filesIn(t, root)); diff != "" {
		t.Error(diff)
	}
	if marker := string(readFile(t, filepath.Join(root, db.MarkerName))); !strings.Contains(marker, info.UUID) {
		t.Errorf("marker %q", marker)
	}
	_, err = db.Create(t.Context(), root, "overlay", db.Options{})
	wantClass(t, err, model.ErrExists)
}

func TestFilesArePrivateWhateverTheUmaskSays(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		root := t.TempDir()
		old := unix.Umask(mask)
		database, err := db.Create(t.Context(), root, "vfs", db.Options{})
		unix.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		database.Close()
		for _, name := range filesIn(t, root) {
			if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode() != 0o600 {
				t.Errorf("umask %#o, %s: %v %v", mask, name, info.Mode(), err)
			}
		}
	}
}

func TestOpenWithoutAStore(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{root, filepath.Join(root, "missing")} {
		for _, options := range []db.Options{{}, {ReadOnly: true}} {
			_, err := db.Open(t.Context(), dir, options)
			wantClass(t, err, fs.ErrNotExist)
		}
	}
	if names := filesIn(t, root); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

// A store whose database is gone, for instance because it lies on a disk that
// is not mounted, is not an empty store.
func TestMarkerWithoutDatabaseIsAnError(t *testing.T) {
	database := create(t)
	if err := os.Remove(database.Path()); err != nil {
		t.Fatal(err)
	}
	_, err := db.Open(t.Context(), rootOf(database), db.Options{})
	wantClass(t, err, model.ErrCorrupt)
	wantText(t, err, db.MarkerName, "missing")
	_, err = db.Create(t.Context(), rootOf(database), "vfs", db.Options{})
	wantClass(t, err, model.ErrExists)
}

func TestMarkerOfAnotherStoreIsAnError(t *testing.T) {
	a, b := create(t), create(t)
	writeFile(t, filepath.Join(rootOf(a), db.MarkerName), readFile(t, filepath.Join(rootOf(b), db.MarkerName)))
	_, err := db.Open(t.Context(), rootOf(a), db.Options{})
	wantClass(t, err, model.ErrCorrupt)
	wantText(t, err, infoOf(t, a).UUID, infoOf(t, b).UUID)
}

func TestLostMarkerIsMadeAgain(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"missing":       os.Remove,
		"empty":         func(path string) error { return os.Truncate(path, 0) },
		"garbage":       func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte{'{'}, 1<<20), 0o600) },
		"pipe":          func(path string) error { _ = os.Remove(path); return unix.Mkfifo(path, 0o600) },
		"symbolic link": func(path string) error { _ = os.Remove(path); return os.Symlink("/dev/zero", path) },
	} {
		t.Run(name, func(t *testing.T) {
			database := create(t)
			marker := filepath.Join(rootOf(database), db.MarkerName)
			want := readFile(t, marker)
			if err := plant(marker); err != nil {
				t.Fatal(err)
			}
			open(t, rootOf(database), db.Options{ReadOnly: true})
			if info, err := os.Lstat(marker); err == nil && info.Mode().IsRegular() && info.Size() == int64(len(want)) {
				t.Error("it was made again for somebody who only reads")
			}
			open(t, rootOf(database), db.Options{})
			if got := readFile(t, marker); !bytes.Equal(want, got) {
				t.Errorf("marker %q, want %q", got, want)
			}
		})
	}
}

func TestOneOfManyCreatorsWins(t *testing.T) {
	root := t.TempDir()
	const creators = 6
	outputs := make(chan string, creators)
	for range creators {
		child := testutil.Child(t, "creator", root)
		go func() {
			out, err := child.Output()
			if err != nil {
				t.Error(err)
			}
			outputs <- string(out)
		}()
	}
	created := 0
	for range creators {
		if <-outputs == "created" {
			created++
		}
	}
	if created != 1 {
		t.Errorf("%d of %d have made the store", created, creators)
	}
	dbtest.Check(t, open(t, root, db.Options{}))
	if names := filesIn(t, root); len(names) != 4 {
		t.Errorf("left behind: %q", names)
	}
}

// TestWhatIsNoDatabase puts other things in the place of the database. None of
// them may be changed, or waited for.
func TestWhatIsNoDatabase(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.db")
	withBolt(t, makeBolt(t, other), func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("other"))
		return err
	})
	for name, plant := range map[string]func(path string) error{
		"empty file":                func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"short file":                func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"text":                      func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("text"), 10_000), 0o600) },
		"zeros":                     func(path string) error { return os.WriteFile(path, make([]byte, 1<<16), 0o600) },
		"database of somebody else": func(path string) error { return os.WriteFile(path, readFile(t, other), 0o600) },
		"directory":                 func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":                      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"device":                    func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
		"symbolic link":             func(path string) error { return os.Symlink(other, path) },
		"dangling link":             func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "device" {
				testutil.NeedRoot(t)
			}
			root := t.TempDir()
			path := filepath.Join(root, db.FileName)
			if err := plant(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			for _, options := range []db.Options{{ReadOnly: true}, {}} {
				_, err := db.Open(t.Context(), root, options)
				wantClass(t, err, model.ErrCorrupt)
				wantText(t, err, path)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) || after.ModTime() != before.ModTime() {
				t.Errorf("it was changed (%v)", err)
			}
			if _, err := os.Lstat(filepath.Join(root, "elsewhere")); err == nil {
				t.Error("the link was followed")
			}
			_, err = db.Create(t.Context(), root, "vfs", db.Options{})
			wantClass(t, err, model.ErrExists)
		})
	}
}

// makeBolt makes an empty database of bbolt.
func makeBolt(t testing.TB, path string) string {
	t.Helper()
	file, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStoreCanBeMoved(t *testing.T) {
	database := create(t)
	update(t, database, fill)
	database.Close()
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(rootOf(database), moved); err != nil {
		t.Fatal(err)
	}
	dbtest.Check(t, open(t, moved, db.Options{}))
	if ids := layerIDs(t, open(t, moved, db.Options{})); len(ids) != 3 {
		t.Errorf("found %q", ids)
	}
}

// A database that is replaced while it is in use, for instance by a backup, is
// noticed by the next transaction.
func TestReplacedDatabaseIsNoticed(t *testing.T) {
	database := create(t)
	backup := filepath.Join(rootOf(database), "backup")
	if err := database.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	update(t, database, createLayer("after-the-backup"))
	if err := os.Rename(backup, database.Path()); err != nil {
		t.Fatal(err)
	}
	if ids := layerIDs(t, database); len(ids) > 0 {
		t.Errorf("the old file is still read: %q", ids)
	}
	update(t, database, createLayer("in-the-new-file"))
	if ids := layerIDs(t, open(t, rootOf(database), db.Options{})); len(ids) != 1 {
		t.Errorf("the new file has %q", ids)
	}
}

func TestJournalLimitMustMakeSense(t *testing.T) {
	database := create(t)
	_, err := db.Open(t.Context(), rootOf(database), db.Options{JournalLimit: -1})
	wantClass(t, err, model.ErrInvalid)
}
