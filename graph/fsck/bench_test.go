package fsck_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// BenchmarkCheck checks a store of many layers, each with a directory.
func BenchmarkCheck(b *testing.B) {
	const layers = 10_000
	root := b.TempDir()
	database, err := db.Create(b.Context(), root, "vfs", db.Options{NoSync: true})
	must(b, err)
	must(b, os.MkdirAll(filepath.Join(root, "vfs/dir"), 0o700))
	must(b, database.Update(b.Context(), func(tx *db.Tx) error {
		parent := model.LayerID("")
		for i := range layers {
			id := model.LayerID(fmt.Sprintf("%064x", i))
			if i%10 == 0 {
				parent = ""
			}
			if err := os.Mkdir(filepath.Join(root, "vfs/dir", string(id)), 0o700); err != nil {
				return err
			}
			if err := tx.CreateLayer(&model.Layer{ID: id, Parent: parent, Made: true}); err != nil {
				return err
			}
			parent = id
		}
		return nil
	}))
	database.Close()
	for _, depth := range fsck.Depths() {
		b.Run(string(depth), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				wantFindings(b, check(b.Context(), b, fsck.Options{Root: root, Depth: depth}))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/layers, "ns/layer")
		})
	}
}
