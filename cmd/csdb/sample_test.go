package main

import (
	"archive/tar"
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// id makes an ID like a generated one.
func id(begin string) string { return begin + strings.Repeat("f", model.IDSize-len(begin)) }

// The objects of the sample.
var (
	baseLayer = model.LayerID(id("ba5e01"))
	sideLayer = model.LayerID(id("51de01"))
	webLayer  = model.LayerID(id("3eb01a"))
	appImage  = model.ImageID(id("a44001"))
	toolImage = model.ImageID(id("7001a1"))
	webCtr    = model.ContainerID(id("3eb0c7"))
	jobCtr    = model.ContainerID(id("70bc77"))
)

// midLayers lie in a row on the base layer.
func midLayers() []model.LayerID {
	return []model.LayerID{model.LayerID(id("1a7e01")), model.LayerID(id("1a7e02")), model.LayerID(id("1a7e03"))}
}

// sample is a store with a few objects:
//
//	base ─ three in a row ─ web's own     image app (the last of the row), container web
//	   └─ side ─ job's own                image tool (side), container job
type sample struct{ root, runRoot string }

// newSample makes a store, whose driver is vfs, and closes it.
func newSample(t testing.TB) *sample {
	t.Helper()
	s := &sample{root: filepath.Join(t.TempDir(), "root")}
	s.runRoot = filepath.Join(filepath.Dir(s.root), "run")
	s.fill(t)
	return s
}

// fill makes what is in the store.
func (s *sample) fill(t testing.TB) {
	t.Helper()
	store := s.open(t)
	layer := func(id, parent model.LayerID, names ...string) {
		_, err := store.ImportLayer(t.Context(), graph.LayerSpec{ID: id, Parent: parent, Names: names}, diff(t, id))
		must(t, err)
	}
	layer(baseLayer, "", "base-layer")
	top := baseLayer
	for _, mid := range midLayers() {
		layer(mid, top)
		top = mid
	}
	layer(sideLayer, baseLayer)
	image := func(id model.ImageID, top model.LayerID, names ...string) {
		_, err := store.CreateImage(t.Context(), graph.ImageSpec{ID: id, TopLayer: top, Names: names})
		must(t, err)
		must(t, store.SetData(t.Context(), id, "manifest", strings.NewReader("manifest of "+string(id))))
	}
	image(appImage, top, "docker.io/library/app:1", "app:latest")
	image(toolImage, sideLayer, "tool:2")
	container := func(id model.ContainerID, layer model.LayerID, image model.ImageID, name string) {
		_, err := store.CreateContainer(t.Context(), graph.ContainerSpec{
			ID: id, Image: image, Layer: layer, Names: []string{name}, Metadata: `{"name":"` + name + `"}`,
		})
		must(t, err)
		must(t, store.SetData(t.Context(), id, "settings", strings.NewReader("settings of "+name)))
	}
	container(webCtr, webLayer, appImage, "web")
	container(jobCtr, model.LayerID(id("70b1a7")), toolImage, "job")
	_, err := store.Mount(t.Context(), "web", graph.MountOptions{})
	must(t, err)
	must(t, store.Close())
}

func (s *sample) open(t testing.TB) *graph.Store {
	t.Helper()
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.runRoot, Driver: "vfs", NoSync: true})
	must(t, err)
	return store
}

func (s *sample) path(name string) string { return filepath.Join(s.root, name) }

// diff makes the diff of a layer, which has the same size for all of them.
func diff(t testing.TB, id model.LayerID) *bytes.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	content := bytes.Repeat([]byte(id), 1000)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644, Size: int64(len(content))}))
	_, err := w.Write(content)
	must(t, err)
	must(t, w.Close())
	return bytes.NewReader(buf.Bytes())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// result is what became of a command.
type result struct {
	stdout, stderr string
	status         int
}

// csdb runs the program on the store in this process.
func (s *sample) csdb(t testing.TB, args ...string) result {
	t.Helper()
	return csdb(t, append([]string{"--root", s.root, "--runroot", s.runRoot}, args...)...)
}

// csdb runs the program in this process, three hours from now.
func csdb(t testing.TB, args ...string) result {
	t.Helper()
	return withEnvironment(t, map[string]string{"LANG": "C.UTF-8"}, args...)
}

// withEnvironment is csdb with the given environment variables.
func withEnvironment(t testing.TB, variables map[string]string, args ...string) result {
	t.Helper()
	var stdout, stderr strings.Builder
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(name string) string { return variables[name] },
		Now:    func() time.Time { return time.Now().Add(3*time.Hour + time.Minute) },
	}
	status := run(t.Context(), env, append([]string{"csdb"}, args...))
	return result{stdout: stdout.String(), stderr: stderr.String(), status: status}
}
