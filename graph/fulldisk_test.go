package graph_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// smallDisk returns a place on a file system of a few mebibytes.
func smallDisk(t *testing.T, driver string) *place {
	t.Helper()
	dir := testutil.Loop{FS: "ext4", Size: 24 << 20}.Mount(t).Dir()
	run := t.TempDir()
	p := &place{driver: driver, root: filepath.Join(dir, "root"), run: filepath.Join(run, "run")}
	t.Cleanup(func() { p.examine(t) })
	return p
}

// fill fills the file system of a directory to the last byte.
func fill(t testing.TB, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "filler")
	f := must(os.Create(path))(t)
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
	return path
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			p := smallDisk(t, driver)
			s := p.open(t)
			ctx := t.Context()
			readyContainer(t, s)
			importLayer(t, s, "victim", "", file("x", strings.Repeat("x", 1<<20)))
			noError(t, s.SetData(ctx, model.ImageID("image"), "key", strings.NewReader("value")))

			// While the disk becomes full: all or nothing.
			large := tarball(t, file("large", strings.Repeat("x", 30<<20)))
			_, err := s.StageLayer(ctx, graph.LayerSpec{}, strings.NewReader(string(large)))
			wantError(t, err, model.ErrNoSpace)
			_, err = s.StageData(ctx, graph.DataSpec{}, strings.NewReader(string(large)))
			wantError(t, err, unix.ENOSPC)
			createLayer(t, s, "fresh", "")
			_, err = s.ApplyDiff(ctx, "fresh", strings.NewReader(string(large)))
			wantError(t, err, model.ErrNoSpace)
			p.examine(t)

			// On a full disk nothing is made, and everything can be deleted.
			filler := fill(t, filepath.Dir(p.root))
			_, err = s.StageLayer(ctx, graph.LayerSpec{}, strings.NewReader(string(large)))
			if err == nil {
				t.Error("a layer was staged on a full disk")
			}
			if got := data(t, s, model.ImageID("image"), "key"); got != "value" {
				t.Errorf("data is %q", got)
			}
			noError(t, s.DeleteLayer(ctx, "victim"))
			noError(t, s.DeleteContainer(ctx, "c"))
			must(s.DeleteImage(ctx, "image"))(t)
			noError(t, s.DeleteLayer(ctx, "fresh"))
			checkEmpty(t, s)
			noError(t, os.Remove(filler))
			importLayer(t, s, "victim", "", file("x", "1"))
		})
	}
}
