package repair_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{"repair": repairOnce, "use": useUntilTold})
}

// drivers are those that the tests run with.
func drivers() []string { return []string{"vfs", "overlay"} }

// sample is a closed store with something of everything in it:
//
//	base ── top ── web-rw      image app (top), container web, which was mounted
//	   └─── side ── idle-rw    image tool (side), container idle, which never was
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
	for _, spec := range []graph.LayerSpec{{ID: "base"}, {ID: "top", Parent: "base", Names: []string{"upper"}}, {ID: "side", Parent: "base"}} {
		_, err := store.ImportLayer(ctx, spec, diff(t, string(spec.ID)))
		must(t, err)
	}
	must(t, store.SetData(ctx, model.LayerID("base"), "notes", strings.NewReader("notes of base")))
	s.add(t, store, "app", "top", "web")
	s.add(t, store, "tool", "side", "idle")
	must(t, store.SetData(ctx, model.ContainerID("web"), "settings", strings.NewReader("settings of web")))
	_, err := store.Mount(ctx, "web", graph.MountOptions{})
	must(t, err)
	_, err = store.Unmount(ctx, "web", false)
	must(t, err)
	must(t, store.Close())
	return s
}

// add makes an image with a container.
func (s *sample) add(t *testing.T, store *graph.Store, image model.ImageID, top model.LayerID, container model.ContainerID) {
	t.Helper()
	_, err := store.CreateImage(t.Context(), graph.ImageSpec{ID: image, TopLayer: top, Names: []string{string(image) + ":1"}})
	must(t, err)
	must(t, store.SetData(t.Context(), image, "manifest", strings.NewReader("{}")))
	_, err = store.CreateContainer(t.Context(), graph.ContainerSpec{ID: container, Image: image, Layer: model.LayerID(container + "-rw")})
	must(t, err)
}

// copyOf copies a closed store to another place in the same file system.
func copyOf(t *testing.T, s *sample) *sample {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(s.root), "copy-") //nolint:usetesting // In the same file system.
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, exec.CommandContext(t.Context(), "cp", "-a", s.root, s.run, dir).Run())
	return &sample{driver: s.driver, root: filepath.Join(dir, "root"), run: filepath.Join(dir, "run")}
}

func (s *sample) open(t *testing.T) *graph.Store {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.run, Driver: s.driver, NoSync: true})
	must(t, err)
	return store
}

// path returns the path of something in the root, see named.
func (s *sample) path(name string) string { return filepath.Join(s.root, s.named(name)) }

// named completes a text in which "%" stands for the driver, and "@" for the
// directory that has those of the layers.
func (s *sample) named(text string) string {
	dirs := s.driver + "/"
	if s.driver == "vfs" {
		dirs = "vfs/dir/"
	}
	return strings.NewReplacer("%", s.driver, "@", dirs).Replace(text)
}

// contentOf returns the path of a file in a layer.
func (s *sample) contentOf(layer, file string) string {
	if s.driver == "overlay" {
		layer += "/diff"
	}
	return s.path("@" + layer + "/" + file)
}

// layers are those that have a directory.
var layers = []string{"base", "top", "side", "web-rw"}

// links returns the short names of the layers.
func (s *sample) links() map[string]string {
	names := make(map[string]string)
	for _, layer := range layers {
		text, _ := os.ReadFile(s.path("overlay/" + layer + "/link"))
		names[layer] = string(text)
	}
	return names
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
// the database has behind its last page is left out, and so is what the lock file
// notes about commits: they have been, though what they did is taken back.
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
		case name == db.LockName:
		case entry.Type().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				line += " " + err.Error()
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
