package db_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
)

// putValue returns a function that puts a value of half a page.
func putValue(app, key string) func(*db.Tx) error {
	return func(tx *db.Tx) error { return tx.App(app).Put([]byte(key), []byte(strings.Repeat(key, 500))) }
}

// Who copies a backup over the file, instead of replacing it, must not make a
// process that has the database at rest believe that nothing has happened: a
// transaction of somebody else may by chance have come to the same meta page.
func TestBackupCopiedOverTheFileIsNoticed(t *testing.T) {
	for _, lost := range []string{"cccc", "eeee", "ffff"} {
		t.Run(lost, func(t *testing.T) {
			database := create(t)
			for _, app := range []string{"one", "two"} {
				for _, key := range []string{"aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"} {
					update(t, database, putValue(app, key))
				}
			}
			backup, err := os.ReadFile(database.Path())
			if err != nil {
				t.Fatal(err)
			}
			update(t, database, putValue("one", lost))
			overwrite(t, database.Path(), backup)
			other := open(t, filepath.Dir(database.Path()), db.Options{})
			update(t, other, putValue("two", "eeee"))
			other.Close()

			for range 4 {
				update(t, database, putValue("one", "dddd"))
			}
			dbtest.Check(t, database)
			report, err := db.CheckFile(t.Context(), database.Path())
			if err != nil || len(report.Problems) > 0 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// overwrite changes the content of a file in place.
func overwrite(t *testing.T, path string, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
}
