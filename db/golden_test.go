package db_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
)

// updateGolden is the flag of `make golden`.
var updateGolden = flag.Bool("update", false, "rewrite the golden files of the current schema version")

// The golden stores are databases that each version of the schema has written,
// with their markers, and what is in them.
const goldenStores = "testdata/stores"

// TestGoldenStores opens a copy of a database of every version of the schema.
func TestGoldenStores(t *testing.T) {
	if dir := filepath.Join(goldenStores, id("v%d", db.SchemaVersion)); *updateGolden && !exists(dir) {
		makeGoldenStore(t, dir)
	}
	versions, err := filepath.Glob(goldenStores + "/v*")
	if err != nil || len(versions) != db.SchemaVersion {
		t.Fatalf("there is not one golden store for each version: %q %v", versions, err)
	}
	for _, version := range versions {
		t.Run(filepath.Base(version), func(t *testing.T) {
			root := t.TempDir()
			for _, name := range []string{db.FileName, db.MarkerName} {
				writeFile(t, filepath.Join(root, name), readFile(t, filepath.Join(version, name)))
			}
			database := open(t, root, db.Options{Now: fillNow})
			dbtest.Check(t, database)
			listing := filepath.Join(version, "contents.json")
			if *updateGolden {
				writeFile(t, listing, []byte(dumpOf(t, database)))
			}
			want := string(readFile(t, listing))
			if diff := cmp.Diff(want, dumpOf(t, database)); diff != "" {
				t.Error(diff)
			}
			update(t, database, createLayer("new"))
			dbtest.Check(t, database)
		})
	}
}

// dumpOf returns what is in a database, but for what is never the same.
func dumpOf(t testing.TB, database *db.DB) string {
	t.Helper()
	var text string
	view(t, database, func(tx *db.ReadTx) (err error) {
		text, err = dump(tx)
		return err
	})
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(text+"\n"), "", "\t"); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`"(pid|command)": .*`).ReplaceAllString(indented.String(), `"$1": …`)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// makeGoldenStore makes the one of the current version, once: it stands for the
// databases that this version has written.
func makeGoldenStore(t *testing.T, dir string) {
	t.Helper()
	root := t.TempDir()
	database, err := db.Create(t.Context(), root, dbtest.Driver, db.Options{Now: fillNow})
	if err != nil {
		t.Fatal(err)
	}
	dbtest.CheckAtEnd(t, database)
	update(t, database, fill)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// A backup has no room to grow.
	if err := database.Backup(t.Context(), filepath.Join(dir, db.FileName)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, db.MarkerName), readFile(t, filepath.Join(root, db.MarkerName)))
}
