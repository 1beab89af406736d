package db_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// The benchmarks compare transactions with the same on bare bbolt, with a
// database that stays open: operations of both kinds alternate, on files of the
// same size on the same disk. The figure to look at is x-raw, the ratio of their
// times.

var benchSizes = []int{0, 10_000, 100_000}

// benchLayer returns a layer as a pull makes it.
func benchLayer(parent model.LayerID) *model.Layer {
	id := model.NewLayerID()
	diff := digest.FromString("diff " + string(id))
	return &model.Layer{
		ID: id, Parent: parent, Made: true, Size: 4096,
		Diff: &model.Diff{
			Digest: diff, Size: 10240, CompressedDigest: digest.FromString("blob " + string(id)), CompressedSize: 5000,
			Compression: model.Gzip, UIDs: []uint32{0}, GIDs: []uint32{0},
			TarSplit: &model.Content{Path: "overlay-layers/" + string(id) + ".tar-split.gz", Digest: diff, Size: 800},
		},
	}
}

// populate creates n layers in chains of ten.
func populate(b *testing.B, database *db.DB, n int) (last model.LayerID) {
	b.Helper()
	for n > 0 {
		err := database.Update(b.Context(), func(tx *db.Tx) error {
			for i := range min(n, 2000) {
				if i%10 == 0 {
					last = ""
				}
				l := benchLayer(last)
				if err := tx.CreateLayer(l); err != nil {
					return err
				}
				last = l.ID
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		n -= 2000
	}
	return last
}

// raw opens a copy of a database with bbolt.
func raw(b *testing.B, database *db.DB) *bolt.DB {
	b.Helper()
	path := filepath.Join(filepath.Dir(database.Path()), "raw.db")
	if err := database.Backup(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	bare, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bare.Close() })
	return bare
}

// benchStore makes a store with n layers on a disk with a journal.
func benchStore(b *testing.B, root string, n int) (*db.DB, model.LayerID) {
	b.Helper()
	_ = os.MkdirAll(root, 0o700)
	database, err := db.Create(b.Context(), root, "vfs", db.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	last := populate(b, database, n)
	database.Close()
	if database, err = db.Open(b.Context(), root, db.Options{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(database.Close)
	return database, last
}

// compare runs two operations in turn and reports the ratio of their times.
func compare(b *testing.B, ours, bare func() error) {
	b.Helper()
	var times [2]time.Duration
	for b.Loop() {
		for i, op := range []func() error{ours, bare} {
			begin := time.Now()
			if err := op(); err != nil {
				b.Fatal(err)
			}
			times[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(times[0].Microseconds())/float64(b.N), "µs-ours")
	b.ReportMetric(float64(times[1].Microseconds())/float64(b.N), "µs-raw")
	b.ReportMetric(float64(times[0])/float64(times[1]), "x-raw")
	b.ReportMetric(0, "ns/op")
}

func rawKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return []byte(hex.EncodeToString(key))
}

func BenchmarkUpdate(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("layers=%d", n), func(b *testing.B) {
			root := testutil.Loop{FS: "ext4", Size: 1 << 30, Steady: true}.Mount(b).Dir()
			database, last := benchStore(b, root, n)
			bare := raw(b, database)
			value := make([]byte, 450)
			compare(b, func() error {
				return database.Update(b.Context(), func(tx *db.Tx) error { return tx.CreateLayer(benchLayer(last)) })
			}, func() error {
				return bare.Update(func(tx *bolt.Tx) error {
					return tx.Bucket([]byte("v1")).Bucket([]byte("layers")).Put(rawKey(), value)
				})
			})
		})
	}
}

func BenchmarkView(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("layers=%d", n), func(b *testing.B) {
			database, last := benchStore(b, b.TempDir(), n)
			bare := raw(b, database)
			compare(b, func() error {
				return database.View(b.Context(), func(tx *db.ReadTx) error {
					if _, err := tx.Layer(last); last != "" {
						return err
					}
					return nil
				})
			}, func() error {
				return bare.View(func(tx *bolt.Tx) error {
					_ = tx.Bucket([]byte("v1")).Bucket([]byte("layers")).Get([]byte(last))
					return nil
				})
			})
		})
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range benchSizes[1:] {
		b.Run(fmt.Sprintf("layers=%d", n), func(b *testing.B) {
			database, last := benchStore(b, b.TempDir(), n)
			err := database.View(b.Context(), func(tx *db.ReadTx) error {
				for b.Loop() {
					if _, err := tx.Find(model.KindLayer, string(last[:20])); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
