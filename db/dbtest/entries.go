package dbtest

import (
	"errors"
	"fmt"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Entries lists everything in the database at a path, whatever that is: each
// bucket with its sequence, and each value under the names of its buckets and
// its key. Nothing is changed.
func Entries(t testing.TB, path string) (lines []string) {
	t.Helper()
	database, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var list func(name string, b *bolt.Bucket) error
	list = func(name string, b *bolt.Bucket) error {
		lines = append(lines, fmt.Sprintf("%s: %d", name, b.Sequence()))
		return b.ForEach(func(key, value []byte) error {
			if inner := b.Bucket(key); inner != nil {
				return list(name+"/"+string(key), inner)
			}
			lines = append(lines, fmt.Sprintf("%s/%q: %x", name, key, value))
			return nil
		})
	}
	err = database.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return list(string(name), b) })
	})
	if err := errors.Join(err, database.Close()); err != nil {
		t.Fatal(err)
	}
	return lines
}
