package graph_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// readOnly opens a store for reading.
func readOnly(o *graph.Options) { o.ReadOnly, o.RunRoot = true, "" }

// fillForReading makes a store with one of everything.
func fillForReading(t *testing.T, p *place) {
	t.Helper()
	s, err := graph.Open(t.Context(), p.options(t))
	noError(t, err)
	importLayer(t, s, "base", "", file("a", "1"))
	createImage(t, s, "image", "base", "name")
	noError(t, s.SetData(t.Context(), model.ImageID("image"), "key", strings.NewReader("value")))
	createContainer(t, s, "c", "image")
	noError(t, s.Close())
}

func TestReadOnlyStoreCanBeReadAndNothingElse(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		fillForReading(t, p)
		before := testutil.Snapshot(t, filepath.Dir(p.root))
		s := p.open(t, readOnly)
		image := must(s.Image(t.Context(), "name"))(t)
		if image.TopLayer != "base" || data(t, s, image.ID, "key") != "value" {
			t.Errorf("image is %+v", image)
		}
		noError(t, s.VerifyData(t.Context(), image.ID, "key"))
		for name, call := range writingCalls(t, s) {
			if err := call(); !errors.Is(err, model.ErrStoreIsReadOnly) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if diff := cmp.Diff(before, testutil.Snapshot(t, filepath.Dir(p.root))); diff != "" {
			t.Errorf("reading has changed the store:\n%s", diff)
		}
	})
}

// writingCalls are calls of every method that a store for reading refuses.
func writingCalls(t *testing.T, s *graph.Store) map[string]func() error {
	ctx := t.Context()
	return map[string]func() error{
		"Update":     func() error { return s.Update(ctx, func(*graph.Tx) error { return nil }) },
		"StageLayer": func() error { _, err := s.StageLayer(ctx, graph.LayerSpec{}, &bytes.Buffer{}); return err },
		"StageData":  func() error { _, err := s.StageData(ctx, graph.DataSpec{}, &bytes.Buffer{}); return err },
		"SetData": func() error {
			return s.SetData(ctx, model.ImageID("image"), "key", &bytes.Buffer{})
		},
		"ImportLayer": func() error { _, err := s.ImportLayer(ctx, graph.LayerSpec{}, &bytes.Buffer{}); return err },
		"ApplyDiff":   func() error { _, err := s.ApplyDiff(ctx, "base", &bytes.Buffer{}); return err },
		"CreateLayer": func() error { _, err := s.CreateLayer(ctx, graph.LayerSpec{}); return err },
		"DeleteImage": func() error { _, err := s.DeleteImage(ctx, "image"); return err },
		"Mount":       func() error { _, err := s.Mount(ctx, "c", graph.MountOptions{}); return err },
		"MountImage":  func() error { _, err := s.MountImage(ctx, "image", graph.MountOptions{}); return err },
		"Unmount":     func() error { _, err := s.Unmount(ctx, "c", false); return err },
		"UnmountPath": func() error { _, err := s.Unmount(ctx, "/nowhere", false); return err },
		"Mounted":     func() error { _, err := s.Mounted(ctx, "c"); return err },
		"Mounts":      func() error { _, err := s.Mounts(ctx); return err },
		"Shutdown":    func() error { _, err := s.Shutdown(ctx, true); return err },
		"Diff":        func() error { _, err := s.Diff(ctx, "base", graph.DiffOptions{}); return err },
		"Changes":     func() error { _, err := s.Changes(ctx, "base", ""); return err },
		"DiffSize":    func() error { _, err := s.DiffSize(ctx, "base", ""); return err },
		"Dedup":       func() error { _, err := s.Dedup(ctx, graph.DedupOptions{}); return err },
		"Dir":         func() error { _, err := s.Dir(ctx, model.ImageID("image")); return err },
		"RunDir":      func() error { _, err := s.RunDir(ctx, model.ImageID("image")); return err },
		"Recover":     func() error { _, err := s.Recover(ctx); return err },
		"Wipe":        func() error { return s.Wipe(ctx) },
		"Status":      func() error { _, err := s.DriverStatus(ctx); return err },
	}
}

func TestStoreOnReadOnlyFileSystemCanBeRead(t *testing.T) {
	testutil.NeedRoot(t)
	p := newPlace(t, "vfs")
	fillForReading(t, p)
	noError(t, unix.Mount(p.root, p.root, "", unix.MS_BIND, ""))
	t.Cleanup(func() {
		if err := unix.Unmount(p.root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	noError(t, unix.Mount("", p.root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	for _, s := range []*graph.Store{p.open(t, readOnly), p.open(t)} {
		if got := data(t, s, model.ImageID("image"), "key"); got != "value" {
			t.Errorf("data is %q", got)
		}
		for name, call := range writingCalls(t, s) {
			if err := call(); !errors.Is(err, model.ErrStoreIsReadOnly) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	p.root = filepath.Join(p.root, "new")
	_, err := graph.Open(t.Context(), p.options(t))
	wantError(t, err, unix.EROFS)
	p.root = filepath.Dir(p.root)
}
