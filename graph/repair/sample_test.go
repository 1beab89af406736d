package repair_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) { testutil.Main(m, nil) }

// sample is a closed store with the layers base and top, the image app, and the
// container web, which was mounted.
type sample struct{ driver, root, run string }

func newSample(t *testing.T, driver string) *sample {
	t.Helper()
	dir := t.TempDir()
	if driver == "overlay" {
		dir = testutil.SharedLoop(t, "ext4")
	}
	s := &sample{driver: driver, root: filepath.Join(dir, "root"), run: filepath.Join(dir, "run")}
	store := s.open(t)
	ctx := t.Context()
	for _, spec := range []graph.LayerSpec{{ID: "base"}, {ID: "top", Parent: "base", Names: []string{"upper"}}} {
		_, err := store.ImportLayer(ctx, spec, diff(t, string(spec.ID)))
		must(t, err)
	}
	_, err := store.CreateImage(ctx, graph.ImageSpec{ID: "app", TopLayer: "top", Names: []string{"app:1"}})
	must(t, err)
	must(t, store.SetData(ctx, model.ImageID("app"), "manifest", strings.NewReader("{}")))
	_, err = store.CreateContainer(ctx, graph.ContainerSpec{ID: "web", Image: "app", Layer: "web-rw"})
	must(t, err)
	_, err = store.Mount(ctx, "web", graph.MountOptions{})
	must(t, err)
	_, err = store.Unmount(ctx, "web", false)
	must(t, err)
	must(t, store.Close())
	return s
}

func (s *sample) open(t *testing.T) *graph.Store {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.run, Driver: s.driver, NoSync: true})
	must(t, err)
	return store
}

// path returns the path of something in the root; "%" in it stands for the
// driver.
func (s *sample) path(name string) string {
	return filepath.Join(s.root, strings.ReplaceAll(name, "%", s.driver))
}

func (s *sample) options() fsck.Options { return fsck.Options{Root: s.root, RunRoot: s.run} }

func diff(t *testing.T, name string) *bytes.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(name))}))
	_, err := w.Write([]byte(name))
	must(t, err)
	must(t, w.Close())
	return bytes.NewReader(buf.Bytes())
}

// listing describes everything in the root but lost+found, with contents. What
// the database has behind its last page is left out.
func (s *sample) listing(t *testing.T) (lines []string) {
	t.Helper()
	must(t, filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(s.root, path)
		if err != nil || name == "lost+found" {
			return filepath.SkipDir
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o %d:%d", name, stat.Mode, stat.Uid, stat.Gid)
		switch {
		case entry.Type().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(bytes.TrimRight(content, "\x00")))
		case entry.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " " + target
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
