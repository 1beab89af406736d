package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// objectInText is how an error names an object, see model.ObjectError.
var objectInText = regexp.MustCompile(`\b(?:layer|image|container) "[^"]*"`)

// namedTwice returns an object that the text of an error names twice, or "".
// Errors that are joined have a line each, and each may name it.
func namedTwice(err error) string {
	if err == nil {
		return ""
	}
	for line := range strings.Lines(err.Error()) {
		named := make(map[string]bool)
		for _, object := range objectInText.FindAllString(line, -1) {
			if named[object] {
				return object
			}
			named[object] = true
		}
	}
	return ""
}

func TestNamedTwice(t *testing.T) {
	once := model.OnObject(model.KindLayer, "x", errOnPurpose)
	other := model.OnObject(model.KindImage, "x", fmt.Errorf("top layer: %w", once))
	for _, err := range []error{nil, errOnPurpose, once, other, errors.Join(once, once)} {
		if got := namedTwice(err); got != "" {
			t.Errorf("%v: %s is not named twice", err, got)
		}
	}
	for _, err := range []error{
		fmt.Errorf("layer %q: %w", "x", once),
		fmt.Errorf("layer %q: mounting: %w", "x", other),
		errors.Join(errOnPurpose, fmt.Errorf("mounting layer %q: %w", "x", once)),
	} {
		if got := namedTwice(err); got != `layer "x"` {
			t.Errorf("%v: got %q", err, got)
		}
	}
}

// troubles are operations that end with an error wherever the layers "lost"
// and "top", which lies on top of it, have no directories any more.
func troubles(t *testing.T, s *graph.Store) map[string]func() error {
	t.Helper()
	ctx, top, bad := t.Context(), model.LayerID("top"), "\x00"
	junk := func() *strings.Reader { return strings.NewReader(strings.Repeat("junk", 1000)) }
	leadsOut := func() *bytes.Reader { return bytes.NewReader(tarball(t, file("a", "1"), file("../x", "1"))) }
	staged := func(spec graph.LayerSpec) error { _, err := s.StageLayer(ctx, spec, leadsOut()); return err }
	mount := func(ref string, options ...string) error {
		_, err := s.Mount(ctx, ref, graph.MountOptions{Options: options})
		return err
	}
	return map[string]func() error{
		"stage":                  func() error { return staged(graph.LayerSpec{ID: "new"}) },
		"stage, ID taken":        func() error { return staged(graph.LayerSpec{ID: top}) },
		"stage, name taken":      func() error { return staged(graph.LayerSpec{ID: "new", Names: []string{"name"}}) },
		"stage, bad name":        func() error { return staged(graph.LayerSpec{ID: "new", Names: []string{""}}) },
		"stage, bad ID":          func() error { return staged(graph.LayerSpec{ID: "a/b"}) },
		"stage, no parent":       func() error { return staged(graph.LayerSpec{ID: "new", Parent: "unicorn"}) },
		"stage, lost parent":     func() error { return staged(graph.LayerSpec{ID: "new", Parent: "lost"}) },
		"stage, option":          func() error { return staged(graph.LayerSpec{ID: "new", StorageOpt: map[string]string{"unicorn": "1"}}) },
		"import":                 func() error { _, err := s.ImportLayer(ctx, graph.LayerSpec{ID: "new"}, junk()); return err },
		"create layer, ID taken": func() error { _, err := s.CreateLayer(ctx, graph.LayerSpec{ID: top}); return err },
		"create layer, parent":   func() error { _, err := s.CreateLayer(ctx, graph.LayerSpec{ID: "new", Parent: "unicorn"}); return err },
		"create layer, self":     func() error { _, err := s.CreateLayer(ctx, graph.LayerSpec{ID: "new", Parent: "new"}); return err },
		"create layer, option": func() error {
			_, err := s.CreateLayer(ctx, graph.LayerSpec{ID: "new", Writable: true, StorageOpt: map[string]string{"unicorn": "1"}})
			return err
		},
		"create image": func() error { _, err := s.CreateImage(ctx, graph.ImageSpec{ID: "image"}); return err },
		"create image, top": func() error {
			_, err := s.CreateImage(ctx, graph.ImageSpec{ID: "new", TopLayer: "unicorn"})
			return err
		},
		"create container": func() error { _, err := s.CreateContainer(ctx, graph.ContainerSpec{ID: "c"}); return err },
		"create container, image": func() error {
			_, err := s.CreateContainer(ctx, graph.ContainerSpec{ID: "new", Image: "unicorn"})
			return err
		},
		"create container, layer": func() error {
			_, err := s.CreateContainer(ctx, graph.ContainerSpec{ID: "new", Layer: "fresh"})
			return err
		},
		"create container, option": func() error {
			_, err := s.CreateContainer(ctx, graph.ContainerSpec{ID: "new", StorageOpt: map[string]string{"unicorn": "1"}})
			return err
		},
		"apply junk":         func() error { _, err := s.ApplyDiff(ctx, "fresh", junk()); return err },
		"apply aside":        func() error { _, err := s.ApplyDiff(ctx, "fresh", leadsOut()); return err },
		"apply in place":     func() error { _, err := s.ApplyDiff(ctx, "made", leadsOut()); return err },
		"apply, lost":        func() error { _, err := s.ApplyDiff(ctx, top, leadsOut()); return err },
		"apply, lost parent": func() error { _, err := s.ApplyDiff(ctx, "child", leadsOut()); return err },
		"apply, unknown":     func() error { _, err := s.ApplyDiff(ctx, "unicorn", leadsOut()); return err },
		"diff, lost":         func() error { return readDiff(ctx, s, &model.Layer{ID: top}) },
		"diff, unknown":      func() error { return readDiff(ctx, s, &model.Layer{ID: "unicorn"}) },
		"diff, from lost":    func() error { _, err := s.DiffSize(ctx, "made", "lost"); return err },
		"diff, bzip2": func() error {
			kind := model.Bzip2
			_, err := s.Diff(ctx, top, graph.DiffOptions{Compression: &kind})
			return err
		},
		"changes, lost":         func() error { _, err := s.Changes(ctx, top, ""); return err },
		"changes, of the lost":  func() error { _, err := s.Changes(ctx, top, "lost"); return err },
		"changes, unknown":      func() error { _, err := s.Changes(ctx, top, "unicorn"); return err },
		"diff size, lost":       func() error { _, err := s.DiffSize(ctx, top, ""); return err },
		"mount, lost":           func() error { return mount("top") },
		"mount, lost parent":    func() error { return mount("child") },
		"mount, container":      func() error { return mount("c") },
		"mount, option":         func() error { return mount("made", "unicorn=1") },
		"mount, unknown":        func() error { return mount("unicorn") },
		"mount image":           func() error { _, err := s.MountImage(ctx, "image", graph.MountOptions{}); return err },
		"mount image, no layer": func() error { _, err := s.MountImage(ctx, "bare", graph.MountOptions{}); return err },
		"unmount":               func() error { _, err := s.Unmount(ctx, "made", false); return err },
		"unmount, lost":         func() error { _, err := s.Unmount(ctx, "top", false); return err },
		"unmount, unknown":      func() error { _, err := s.Unmount(ctx, "unicorn", true); return err },
		"delete layer, child":   func() error { return s.DeleteLayer(ctx, "lost") },
		"delete layer, image":   func() error { return s.DeleteLayer(ctx, top) },
		"delete layer, unknown": func() error { return s.DeleteLayer(ctx, "unicorn") },
		"delete image, used":    func() error { _, err := s.DeleteImage(ctx, "image"); return err },
		"delete image, unknown": func() error { _, err := s.DeleteImage(ctx, "unicorn"); return err },
		"delete container":      func() error { return s.DeleteContainer(ctx, "unicorn") },
		"names, bad":            func() error { _, err := s.AddNames(ctx, top, bad); return err },
		"names, unknown":        func() error { _, err := s.SetNames(ctx, model.ImageID("unicorn"), "x"); return err },
		"metadata, unknown":     func() error { return s.SetMetadata(ctx, model.ContainerID("unicorn"), "x") },
		"data, key":             func() error { return s.SetData(ctx, top, "", junk()) },
		"data, owner":           func() error { return s.SetData(ctx, model.ImageID("unicorn"), "k", junk()) },
		"data, reading":         func() error { return s.SetData(ctx, top, "k", failingReader{}) },
		"data, open":            func() error { _, _, err := s.OpenData(ctx, top, "unicorn"); return err },
		"data, verify":          func() error { return s.VerifyData(ctx, model.LayerID("unicorn"), "x") },
		"directory of a layer":  func() error { _, err := s.Dir(ctx, top); return err },
		"directory, unknown":    func() error { _, err := s.RunDir(ctx, model.ContainerID("unicorn")); return err },
		"usage of an image":     func() error { _, err := s.ImageUsage(ctx, "unicorn"); return err },
		"usage of a container":  func() error { _, err := s.ContainerUsage(ctx, "unicorn"); return err },
	}
}

// Graph and driver both know what an error is about; only one of them may say
// so.
func TestErrorsNameAnObjectOnce(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "lost", "", file("a", "1"))
		importLayer(t, s, "top", "lost", file("b", "1"))
		importLayer(t, s, "made", "", file("a", "1"))
		must(s.AddNames(t.Context(), model.LayerID("made"), "name"))(t)
		createLayer(t, s, "fresh", "")
		createLayer(t, s, "child", "top")
		createImage(t, s, "image", "top")
		createImage(t, s, "bare", "")
		createContainer(t, s, "c", "image")
		for _, id := range []string{"lost", "top"} {
			dir, away := p.layerDir(id), filepath.Join(p.root, id)
			noError(t, os.Rename(dir, away))
			t.Cleanup(func() { noError(t, os.Rename(away, dir)) })
		}
		for name, trouble := range troubles(t, s) {
			err := trouble()
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			wantError(t, err)
		}
	})
}
