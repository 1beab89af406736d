package db_test

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// pageSize is that of the images below. They are small, so that even a small
// database has trees of several levels.
const pageSize = 1024

// smallImage returns a small database, as bytes, that has what databases have:
// trees with branches, values in several pages, free pages.
func smallImage(t testing.TB) []byte {
	t.Helper()
	database, err := db.Create(t.Context(), t.TempDir(), dbtest.Driver, db.Options{Now: fillNow, JournalLimit: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	update(t, database, fill, threeOfEach, someLayers, func(tx *db.Tx) error {
		return tx.App("com.example.engine").Put([]byte("large"), bytes.Repeat([]byte("large "), 400))
	})
	path := compacted(t, database.Path(), bolt.Options{PageSize: pageSize})
	// Later transactions leave free pages behind.
	for i := range uint64(3) {
		withBolt(t, path, func(tx *bolt.Tx) error { return inBucket(tx, "names/image").SetSequence(i) })
	}
	image := readFile(t, path)
	return image[:newestMetaPage(image).pages()*pageSize]
}

// compacted copies a database with bbolt.
func compacted(t testing.TB, path string, options bolt.Options) string {
	t.Helper()
	source, err := bolt.Open(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	copied := filepath.Join(t.TempDir(), "copy")
	target, err := bolt.Open(copied, 0o600, &options)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := bolt.Compact(target, source, 10_000); err != nil {
		t.Fatal(err)
	}
	return copied
}

// someLayers are enough for a tree with branches.
func someLayers(tx *db.Tx) error {
	for i := range 8 {
		if err := createLayer(model.LayerID(id("layer-%d", i)))(tx); err != nil {
			return err
		}
	}
	return nil
}

// metaPage is one of the meta pages of an image, whose memory it shares.
type metaPage []byte

// newestMetaPage returns the meta page that holds.
func newestMetaPage(image []byte) metaPage {
	const header = 16
	a, b := metaPage(image[header:]), metaPage(image[pageSize+header:])
	if b.txID() > a.txID() {
		return b
	}
	return a
}

func (m metaPage) root() uint64     { return binary.LittleEndian.Uint64(m[16:]) }
func (m metaPage) freelist() uint64 { return binary.LittleEndian.Uint64(m[32:]) }
func (m metaPage) pages() uint64    { return binary.LittleEndian.Uint64(m[40:]) }
func (m metaPage) txID() uint64     { return binary.LittleEndian.Uint64(m[48:]) }

// set changes a number of the page and its checksum.
func (m metaPage) set(offset int, n uint64) {
	binary.LittleEndian.PutUint64(m[offset:], n)
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56])
	binary.LittleEndian.PutUint64(m[56:], sum.Sum64())
}

func (m metaPage) setRoot(id uint64)     { m.set(16, id) }
func (m metaPage) setFreelist(id uint64) { m.set(32, id) }
func (m metaPage) setPages(n uint64)     { m.set(40, n) }

func truncate(t testing.TB, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}
