//go:build !race

// The race detector makes hashing and decompressing many times slower, and
// finds nothing in large trees that it does not find in the odd one.

package graph_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// once marks trips that are made with one driver only.
func once(trips []trip) []trip {
	for i := range trips {
		trips[i].once = true
	}
	return trips
}

// What GNU tar makes of a Debian archive is what a layer made of it must be.
func TestRoundTripOfDebian(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	archive := filepath.Join(t.TempDir(), "debian.tar")
	noError(t, os.Symlink(testutil.Debootstrap(t), archive))
	tree := t.TempDir()
	run(t, "tar", "--extract", "--file", archive, "--directory", tree, "--same-owner", "--same-permissions",
		"--numeric-owner", "--xattrs", "--xattrs-include=*")
	formats := tarFormats()
	all := trips(t, archive, "archive", formats["pax"].survivors(testutil.Snapshot(t, tree)), model.Uncompressed)
	all = append(all, once(pack(t, tree, formats["pax-sparse"], model.Gzip, model.Zstd))...)
	slow := filepath.Join(tree, "usr", "share")
	makeAll(t, append(all, once(pack(t, slow, formats["gnu"], model.Bzip2, model.Xz))...))
}

func TestRoundTripOfTheGoTree(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	tree, formats := testutil.GoTree(t), tarFormats()
	all := once(pack(t, tree, formats["pax"], model.Uncompressed))
	all = append(all, once(pack(t, filepath.Join(tree, "src"), formats["ustar"], model.Gzip, model.Zstd))...)
	slow := filepath.Join(tree, "src", "runtime")
	makeAll(t, append(all, pack(t, slow, formats["gnu-sparse"], kinds...)...))
}
