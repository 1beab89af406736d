package graph_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/internal/testutil"
)

// failingDisk returns a place on a file system that takes everything, though
// its disk fails to keep more than some mebibytes of it until it is mended.
func failingDisk(t *testing.T, driver string) (p *place, mend func()) {
	t.Helper()
	run, small := t.TempDir(), testutil.Tmpfs(t)
	t.Setenv("TMPDIR", small) // for the file that serves as disk
	dir := testutil.Loop{FS: "xfs"}.Mount(t).Dir()
	filler := fill(t, small)
	info := must(os.Stat(filler))(t)
	noError(t, os.Truncate(filler, info.Size()-48<<20))
	p = &place{driver: driver, root: filepath.Join(dir, "root"), run: filepath.Join(run, "run")}
	return p, func() { noError(t, os.Truncate(filler, 0)) }
}

// atEnd calls a function when a reader has come to its end.
type atEnd struct {
	io.Reader
	fn func()
}

func (r *atEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF && r.fn != nil {
		r.fn()
		r.fn = nil
	}
	return n, err
}

// The kernel tells of each failure only those who were there when it happened,
// and the first who asks later.
func TestStageLayerFailsIfSomebodyElseWasToldOfTheFailure(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			p, mend := failingDisk(t, driver)
			s := p.open(t)
			somebodyElse := func() {
				disk := must(fsutil.OpenSyncer(p.root))(t)
				defer disk.Close()
				if err := disk.Sync(); err == nil {
					t.Error("the disk has not failed")
				}
				mend() // what is written from now on is not lost
			}
			large := tarball(t, file("large", strings.Repeat("x", 128<<20)))
			_, err := s.StageLayer(t.Context(), graph.LayerSpec{}, &atEnd{bytes.NewReader(large), somebodyElse})
			if err == nil {
				t.Error("what the disk has lost was said to be durable")
			}
		})
	}
}
