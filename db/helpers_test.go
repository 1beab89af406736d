package db_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// update runs functions in a transaction.
func update(t testing.TB, database *db.DB, fns ...func(*db.Tx) error) {
	t.Helper()
	err := database.Update(t.Context(), func(tx *db.Tx) error {
		for _, fn := range fns {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, database *db.DB, fn func(*db.ReadTx) error) {
	t.Helper()
	if err := database.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// open opens the database in a directory until the test ends.
func open(t testing.TB, root string, options db.Options) *db.DB {
	t.Helper()
	database, err := db.Open(t.Context(), root, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	return database
}

// create makes a database that the test will damage.
func create(t testing.TB) *db.DB {
	t.Helper()
	database, err := db.Create(t.Context(), t.TempDir(), dbtest.Driver, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	return database
}

func rootOf(database *db.DB) string { return filepath.Dir(database.Path()) }

// withBolt changes a database behind our back.
func withBolt(t testing.TB, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	file, err := bolt.Open(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Update(fn), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// inBucket returns a bucket of the schema to change it with bbolt.
func inBucket(tx *bolt.Tx, name string) *bolt.Bucket {
	return tx.Bucket([]byte("v1")).Bucket([]byte(name))
}

// wantClass fails unless err matches all classes.
func wantClass(t testing.TB, err error, classes ...error) {
	t.Helper()
	for _, class := range classes {
		if !errors.Is(err, class) {
			t.Errorf("got %v, want an error that matches %q", err, class)
		}
	}
}

func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want an error that contains %q", err, part)
		}
	}
}

// id makes an ID that is easy to recognize.
func id(format string, args ...any) string {
	return fmt.Sprintf(format, args...)
}

// contentOf makes a content file's description; nothing is stored.
func contentOf(path string, size int64) model.Content {
	return model.Content{Path: path, Digest: digest.FromString(path), Size: size}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
