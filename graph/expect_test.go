package graph_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// must returns a value that was to be had without an error. It is called as
// must(f())(t).
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// noError ends a test if there was an error.
func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError fails a test unless err matches all of want.
func wantError(t testing.TB, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("got error %v, want one that matches %q", err, w)
		}
	}
	if err != nil && strings.Contains(err.Error(), "failed to") {
		t.Errorf("error %q says what is known already", err)
	}
	if object := namedTwice(err); object != "" {
		t.Errorf("error %q names %s twice", err, object)
	}
}

// importLayer imports a layer with the given ID and files.
func importLayer(t testing.TB, s *graph.Store, id, parent model.LayerID, entries ...entry) *model.Layer {
	t.Helper()
	spec := graph.LayerSpec{ID: id, Parent: parent}
	return must(s.ImportLayer(t.Context(), spec, bytes.NewReader(tarball(t, entries...))))(t)
}

// stageLayer stages a layer on top of another one.
func stageLayer(t testing.TB, s *graph.Store, spec graph.LayerSpec, entries ...entry) *graph.StagedLayer {
	t.Helper()
	return must(s.StageLayer(t.Context(), spec, bytes.NewReader(tarball(t, entries...))))(t)
}

// stageData stages data that nobody knows yet what it is for.
func stageData(t testing.TB, s *graph.Store, text string) *graph.StagedData {
	t.Helper()
	return must(s.StageData(t.Context(), graph.DataSpec{}, strings.NewReader(text)))(t)
}

// createImage makes an image.
func createImage(t testing.TB, s *graph.Store, id model.ImageID, top model.LayerID, names ...string) *model.Image {
	t.Helper()
	return must(s.CreateImage(t.Context(), graph.ImageSpec{ID: id, TopLayer: top, Names: names}))(t)
}

// createContainer makes a container.
func createContainer(t testing.TB, s *graph.Store, id model.ContainerID, image model.ImageID) *model.Container {
	t.Helper()
	return must(s.CreateContainer(t.Context(), graph.ContainerSpec{ID: id, Image: image}))(t)
}

// plainDiff returns the uncompressed diff of a layer.
func plainDiff(t testing.TB, s *graph.Store, id model.LayerID) []byte {
	t.Helper()
	plain := model.Uncompressed
	return diff(t, s, id, graph.DiffOptions{Compression: &plain})
}

// diff returns the diff of a layer.
func diff(t testing.TB, s *graph.Store, id model.LayerID, options graph.DiffOptions) []byte {
	t.Helper()
	stream := must(s.Diff(t.Context(), id, options))(t)
	data, err := io.ReadAll(stream)
	if err := errors.Join(err, stream.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// data returns what a data item holds.
func data(t testing.TB, s *graph.Store, id model.ID, key string) string {
	t.Helper()
	f, item, err := s.OpenData(t.Context(), id, key)
	noError(t, err)
	defer f.Close()
	content := must(io.ReadAll(f))(t)
	if d := digest.FromBytes(content); d != item.Content.Digest || int64(len(content)) != item.Content.Size {
		t.Errorf("item %q has %d bytes with digest %s, the record says %d and %s", key, len(content), d, item.Content.Size, item.Content.Digest)
	}
	return string(content)
}

// onMount mounts a layer or container, calls do with the path, and unmounts it.
func onMount(t testing.TB, s *graph.Store, ref string, do func(path string)) {
	t.Helper()
	path := must(s.Mount(t.Context(), ref, graph.MountOptions{}))(t)
	do(path)
	_, err := s.Unmount(t.Context(), ref, false)
	noError(t, err)
}

// writeFile writes a file of a mounted layer.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	noError(t, os.WriteFile(path, []byte(text), 0o600))
}

// readFile reads a file of a mounted layer.
func readFile(t testing.TB, path string) string {
	t.Helper()
	return string(must(os.ReadFile(path))(t))
}
