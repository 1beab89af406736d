package fsck_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{"stage": stageForEver, "worker": worker})
}

// drivers are those that the tests run with.
func drivers() []string { return []string{"vfs", "overlay"} }

// sample is a store with something of everything in it:
//
//	base ── middle ── top ── web-rw     image app (top), container web
//	   └─ side ── idle-rw               image tool (side), container idle, which was never mounted
type sample struct {
	driver        string
	root, runRoot string
	store         *graph.Store
}

// roots returns directories for a store with the given driver. Overlays need a
// file system that can be below one, and the rights of root.
func roots(t testing.TB, driver string) (root, runRoot string) {
	t.Helper()
	dir := t.TempDir()
	if driver == "overlay" {
		dir = testutil.SharedLoop(t, "ext4")
	}
	return filepath.Join(dir, "root"), filepath.Join(dir, "run")
}

// open opens the store, and makes it if need be.
func (s *sample) open(t testing.TB) *graph.Store {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.runRoot, Driver: s.driver, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s.store = store
	return store
}

// closeStore closes the store.
func (s *sample) closeStore(t testing.TB) {
	t.Helper()
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.store = nil
}

// newSample makes the store and closes it again.
func newSample(t testing.TB, driver string) *sample {
	t.Helper()
	s := &sample{driver: driver}
	s.root, s.runRoot = roots(t, driver)
	s.fill(t)
	return s
}

// fill makes what is in the store.
func (s *sample) fill(t testing.TB) {
	t.Helper()
	s.open(t)
	s.layer(t, "base", "")
	s.layer(t, "middle", "base")
	s.layer(t, "top", "middle")
	s.layer(t, "side", "base")
	s.image(t, "app", "top", "docker.io/library/app:1", "app:latest")
	s.image(t, "tool", "side", "tool:2")
	s.container(t, "web", "app")
	s.container(t, "idle", "tool")
	must(t, s.store.SetData(t.Context(), model.LayerID("base"), "notes", strings.NewReader("notes of base")))
	s.mount(t, "web", func(path string) {
		must(t, os.WriteFile(filepath.Join(path, "written"), []byte("by a container"), 0o644))
	})
	dir, err := s.store.Dir(t.Context(), model.ContainerID("web"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "state.json"), []byte("{}"), 0o644))
	s.closeStore(t)
}

// copyOf copies a closed store to another place in the same file system.
func copyOf(t testing.TB, s *sample) *sample {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(s.root), "copy-") //nolint:usetesting // In the same file system.
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	c := &sample{driver: s.driver, root: filepath.Join(dir, "root"), runRoot: filepath.Join(dir, "run")}
	must(t, exec.CommandContext(t.Context(), "cp", "-a", s.root, s.runRoot, dir).Run())
	return c
}

func (s *sample) layer(t testing.TB, id, parent model.LayerID) {
	t.Helper()
	_, err := s.store.ImportLayer(t.Context(), graph.LayerSpec{ID: id, Parent: parent}, diff(t, string(id)))
	must(t, err)
}

func (s *sample) image(t testing.TB, id model.ImageID, top model.LayerID, names ...string) {
	t.Helper()
	_, err := s.store.CreateImage(t.Context(), graph.ImageSpec{ID: id, TopLayer: top, Names: names})
	must(t, err)
	must(t, s.store.SetData(t.Context(), id, "manifest", strings.NewReader(`{"image":"`+string(id)+`"}`)))
	must(t, s.store.SetData(t.Context(), id, "sha256:config", strings.NewReader(`{"config":"`+string(id)+`"}`)))
}

func (s *sample) container(t testing.TB, id model.ContainerID, image model.ImageID) {
	t.Helper()
	_, err := s.store.CreateContainer(t.Context(), graph.ContainerSpec{
		ID: id, Image: image, Layer: model.LayerID(id + "-rw"), Names: []string{string(id) + "-name"},
	})
	must(t, err)
	must(t, s.store.SetData(t.Context(), id, "settings", strings.NewReader("settings of "+string(id))))
}

// mount mounts a container or layer while use works on it.
func (s *sample) mount(t testing.TB, ref string, use func(path string)) {
	t.Helper()
	path, err := s.store.Mount(t.Context(), ref, graph.MountOptions{})
	must(t, err)
	use(path)
	_, err = s.store.Unmount(t.Context(), ref, false)
	must(t, err)
}

// diff makes the diff of a layer.
func diff(t testing.TB, name string) *bytes.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755}))
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "etc/" + name, Mode: 0o644, Size: int64(len(name))}))
	_, err := w.Write([]byte(name))
	must(t, err)
	must(t, w.Close())
	return bytes.NewReader(buf.Bytes())
}

// check checks a store.
func (s *sample) check(t testing.TB) *fsck.Report {
	t.Helper()
	return check(t.Context(), t, fsck.Options{Root: s.root, RunRoot: s.runRoot})
}

func check(ctx context.Context, t testing.TB, options fsck.Options) *fsck.Report {
	t.Helper()
	report, err := fsck.Check(ctx, options)
	must(t, err)
	return report
}

// wantFindings compares the findings of a report with lines of severity, code
// and place.
func wantFindings(t testing.TB, report *fsck.Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range report.Findings {
		got = append(got, strings.Join([]string{string(f.Severity), string(f.Code), f.Place}, " "))
	}
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("got findings\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	for _, f := range report.Findings {
		t.Logf("%s %s: expected %s, found %s", f.Code, f.Place, f.Expected, f.Found)
	}
	t.Logf("unchecked: %q", report.Unchecked)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
