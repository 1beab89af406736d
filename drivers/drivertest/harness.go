package drivertest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/sys/mountinfo"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
)

// harness is an open driver in a test. Its methods end the test when something
// fails.
type harness struct {
	testing.TB
	driver drivers.Driver
	config drivers.Config
}

// open opens a driver in a new home.
func (s suite) open(t testing.TB, options ...string) *harness {
	t.Helper()
	dir := s.traits.Dir(t)
	return s.openAt(t, drivers.Config{
		Home:    filepath.Join(dir, "root", "home"),
		RunHome: filepath.Join(dir, "run"),
		Options: options,
	})
}

// openAt opens a driver in a home that may exist.
func (s suite) openAt(t testing.TB, config drivers.Config) *harness {
	t.Helper()
	driver, err := s.construct(t.Context(), config)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	h := &harness{TB: t, driver: driver, config: config}
	t.Cleanup(h.finish)
	return h
}

// openAndClose opens a second driver in the same home and closes it.
func (h *harness) openAndClose(s suite) {
	h.Helper()
	driver, err := s.construct(h.Context(), h.config)
	h.must(err)
	h.must(driver.Close(h.Context()))
}

// finish unmounts all layers, closes the driver and looks for mounts that are
// left.
func (h *harness) finish() {
	ctx := context.WithoutCancel(h.Context())
	ids, err := h.driver.List(ctx)
	if err != nil {
		h.Errorf("listing at the end: %v", err)
	}
	for _, id := range ids {
		exists, err := h.driver.Exists(ctx, id)
		if err == nil && exists {
			err = h.driver.Unmount(ctx, id)
		}
		if err != nil {
			h.Errorf("unmounting layer %q at the end: %v", id, err)
		}
	}
	if err := h.driver.Close(ctx); err != nil {
		h.Errorf("closing: %v", err)
	}
	if left := h.mounts(); len(left) > 0 {
		h.Errorf("mounts are left: %q", left)
	}
}

// mounts returns what is mounted in the driver's directories.
func (h *harness) mounts() []string {
	h.Helper()
	var points []string
	for _, dir := range []string{h.config.Home, h.config.RunHome} {
		infos, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
		if err != nil {
			h.Fatal(err)
		}
		for _, info := range infos {
			points = append(points, info.Mountpoint)
		}
	}
	return points
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// create makes a layer.
func (h *harness) create(id, parent string) {
	h.Helper()
	if err := h.driver.Create(h.Context(), id, parent, drivers.CreateOptions{Writable: true}); err != nil {
		h.Fatalf("creating layer %q on %q: %v", id, parent, err)
	}
}

// chain makes layers, each on top of the one before.
func (h *harness) chain(ids ...string) {
	h.Helper()
	parent := ""
	for _, id := range ids {
		h.create(id, parent)
		parent = id
	}
}

// mount mounts a layer and returns where.
func (h *harness) mount(id string) string {
	h.Helper()
	path, err := h.driver.Mount(h.Context(), id, drivers.MountOptions{})
	if err != nil {
		h.Fatalf("mounting layer %q: %v", id, err)
	}
	return path
}

func (h *harness) unmount(id string) {
	h.Helper()
	if err := h.driver.Unmount(h.Context(), id); err != nil {
		h.Fatalf("unmounting layer %q: %v", id, err)
	}
}

// remove removes a layer.
func (h *harness) remove(id string) {
	h.Helper()
	if err := h.driver.Remove(h.Context(), id); err != nil {
		h.Fatalf("removing layer %q: %v", id, err)
	}
}

// inside calls work with the mount point of a layer that is mounted for it.
func (h *harness) inside(id string, work func(root string)) {
	h.Helper()
	work(h.mount(id))
	h.unmount(id)
}

// write writes a file in a layer that is mounted for it.
func (h *harness) write(id, name, content string) {
	h.Helper()
	h.inside(id, func(root string) { writeFile(h, filepath.Join(root, name), content) })
}

// read returns the content of a file in a layer that is mounted for it.
func (h *harness) read(id, name string) string {
	h.Helper()
	var content []byte
	h.inside(id, func(root string) {
		var err error
		content, err = os.ReadFile(filepath.Join(root, name))
		h.must(err)
	})
	return string(content)
}

// snapshot lists the tree of a layer that is mounted for it.
func (h *harness) snapshot(id string) testutil.Listing {
	h.Helper()
	var listing testutil.Listing
	h.inside(id, func(root string) { listing = testutil.Snapshot(h, root) })
	return listing
}

// exists tells whether a layer exists.
func (h *harness) exists(id string) bool {
	h.Helper()
	exists, err := h.driver.Exists(h.Context(), id)
	h.must(err)
	return exists
}

// list returns the names of all layers.
func (h *harness) list() []string {
	h.Helper()
	ids, err := h.driver.List(h.Context())
	h.must(err)
	return ids
}

// wantLayers checks which layers there are.
func (h *harness) wantLayers(want ...string) {
	h.Helper()
	if got := h.list(); !slices.Equal(got, want) {
		h.Errorf("layers are %q, want %q", got, want)
	}
}

// diff returns the diff of a layer.
func (h *harness) diff(id, parent string) []byte {
	h.Helper()
	var stream bytes.Buffer
	if err := drivers.Diff(h.Context(), h.driver, id, parent, &stream); err != nil {
		h.Fatalf("diff of %q and %q: %v", id, parent, err)
	}
	return stream.Bytes()
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
