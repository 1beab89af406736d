package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// TestCreateMakesAnEmptyLayer also looks at the layer's root directory, which
// every user in a container must be able to enter.
func (s suite) TestCreateMakesAnEmptyLayer(t *testing.T) {
	h := s.open(t)
	h.create("layer", "")
	if !h.exists("layer") || h.exists("other") {
		t.Error("layer does not exist, or another one does")
	}
	h.wantLayers("layer")
	h.inside("layer", func(root string) {
		entries, err := os.ReadDir(root)
		h.must(err)
		if len(entries) != 0 {
			t.Errorf("new layer contains %v", entries)
		}
		info, err := os.Stat(root)
		h.must(err)
		if mode := info.Mode(); mode&0o777&^0o200 != 0o555 {
			t.Errorf("root directory has mode %v", mode)
		}
	})
}

// TestCreateTakesNoNoticeOfTheUmask by making layers with and without one.
func (s suite) TestCreateTakesNoNoticeOfTheUmask(t *testing.T) {
	modes := func(umask int) map[string]fs.FileMode {
		// The umask is the process's: tests of a package run one by one.
		defer unix.Umask(unix.Umask(umask))
		h := s.open(t)
		h.chain("base", "top")
		found := make(map[string]fs.FileMode)
		h.must(filepath.WalkDir(h.config.Home, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Type() == fs.ModeSymlink {
				return err
			}
			info, err := entry.Info()
			found[strings.TrimPrefix(path, h.config.Home)] = info.Mode()
			return err
		}))
		return found
	}
	if diff := cmp.Diff(modes(0), modes(0o077)); diff != "" {
		t.Errorf("modes without umask (-) and with one (+):\n%s", diff)
	}
}

// TestCreateRefusesAnExistingLayer and leaves it as it is, mounted or not.
func (s suite) TestCreateRefusesAnExistingLayer(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	h.write("top", "file", "content")
	before := testutil.Describe(t, h.config.Home)
	for _, parent := range []string{"", "base", "top"} {
		err := h.driver.Create(t.Context(), "top", parent, drivers.CreateOptions{})
		if !errors.Is(err, model.ErrExists) {
			t.Errorf("on %q: got %v, want ErrExists", parent, err)
		}
	}
	if diff := cmp.Diff(before, testutil.Describe(t, h.config.Home)); diff != "" {
		t.Errorf("home has changed:\n%s", diff)
	}
	h.mount("top")
	if err := h.driver.Create(t.Context(), "top", "base", drivers.CreateOptions{}); !errors.Is(err, model.ErrExists) {
		t.Errorf("mounted: got %v, want ErrExists", err)
	}
	if got := h.read("top", "file"); got != "content" {
		t.Errorf("file contains %q", got)
	}
}

// TestCreateRefusesAnUnknownParent and makes nothing.
func (s suite) TestCreateRefusesAnUnknownParent(t *testing.T) {
	h := s.open(t)
	err := h.driver.Create(t.Context(), "layer", "parent", drivers.CreateOptions{})
	if !errors.Is(err, model.ErrLayerUnknown) {
		t.Errorf("got %v, want ErrLayerUnknown", err)
	}
	h.wantLayers()
}

// TestEveryOperationRefusesNamesOfNoLayer: such names would lead elsewhere.
func (s suite) TestEveryOperationRefusesNamesOfNoLayer(t *testing.T) {
	h := s.open(t)
	h.create("layer", "")
	before := h.homeNames()
	for _, id := range []string{"", ".", "..", "../layer", "layer/..", "/layer", "a/b", ".part-layer", "l", "a\x00b", "a:b", "a,b", "a~b", strings.Repeat("x", model.MaxIDLength+1)} {
		for name, err := range h.everything(id) {
			if name == "Against" && id == "" { // compares with nothing
				continue
			}
			if !errors.Is(err, model.ErrInvalid) {
				t.Errorf("%s of %q: got %v, want ErrInvalid", name, id, err)
			}
		}
	}
	if err := h.driver.Create(t.Context(), "new", "../layer", drivers.CreateOptions{}); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("parent: got %v, want ErrInvalid", err)
	}
	if diff := cmp.Diff(before, h.homeNames()); diff != "" {
		t.Errorf("home has changed:\n%s", diff)
	}
}

// TestLayersHaveAnyNameOfADirectory that the store gives: IDs of every length,
// and those of a layer that takes the place of another one.
func (s suite) TestLayersHaveAnyNameOfADirectory(t *testing.T) {
	h := s.open(t)
	long := strings.Repeat("\u00fc", model.MaxIDLength/2)
	ids := []string{"0", strings.Repeat("0123abcd", 8), "with space=and \"quotes\"", long, model.NewLayerDir("0"), model.NewLayerDir(model.LayerID(long))}
	parent := ""
	for _, id := range ids {
		h.create(id, parent)
		h.write(id, "file", id)
		parent = id
	}
	for _, id := range ids {
		if got := h.read(id, "file"); got != id {
			t.Errorf("file of %q contains %q", id, got)
		}
	}
	for _, id := range ids {
		h.remove(id)
	}
	h.wantLayers()
}

// TestOperationsOnAnUnknownLayerSaySo, and do not make one.
func (s suite) TestOperationsOnAnUnknownLayerSaySo(t *testing.T) {
	h := s.open(t)
	h.create("layer", "")
	for name, err := range h.everything("unknown") {
		want := model.ErrLayerUnknown
		if slices.Contains([]string{"Create", "Exists", "Remove"}, name) {
			want = nil
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	h.remove("unknown")
	h.wantLayers("layer")
}

// everything calls all that takes a layer and returns the errors.
func (h *harness) everything(id string) map[string]error {
	ctx := h.Context()
	errs := map[string]error{
		"Unmount": h.driver.Unmount(ctx, id),
		"Changes": second(drivers.Changes(ctx, h.driver, id, "")),
		"Size":    second(drivers.DiffSize(ctx, h.driver, id, "")),
		"Diff":    drivers.Diff(ctx, h.driver, id, "", failingWriter{}),
		"Against": second(drivers.Changes(ctx, h.driver, "layer", id)),
		"Apply":   h.apply(id, nil),
		"Mount":   second(h.driver.Mount(ctx, id, drivers.MountOptions{})),
		"Content": second(drivers.OpenContent(ctx, h.driver, id)),
		"Exists":  second(h.driver.Exists(ctx, id)),
		"Remove":  h.driver.Remove(ctx, id),
	}
	_, _, errs["Mountpoint"] = h.driver.Mountpoint(ctx, id)
	if viewer, ok := h.driver.(drivers.Viewer); ok {
		_, _, errs["View"] = viewer.View(ctx, id)
	}
	if teller, ok := h.driver.(drivers.MetadataDriver); ok {
		errs["Metadata"] = second(teller.Metadata(ctx, id))
	}
	if driver, ok := h.driver.(drivers.TreeDriver); ok {
		errs["Tree"] = second(driver.Tree(ctx, id))
	}
	errs["Create"] = h.driver.Create(ctx, id, "layer", drivers.CreateOptions{}) // now it exists
	return errs
}

func second[T any](_ T, err error) error { return err }

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("nobody wants this") }

// TestCreateRefusesUnknownStorageOptions because whoever gives one relies on
// it.
func (s suite) TestCreateRefusesUnknownStorageOptions(t *testing.T) {
	h := s.open(t)
	err := h.driver.Create(t.Context(), "layer", "", drivers.CreateOptions{StorageOpt: map[string]string{"unicorns": "2"}})
	if !errors.Is(err, model.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "unicorns") {
		t.Errorf("got %v, want ErrInvalid and the option's name", err)
	}
	h.wantLayers()
}

// TestBaseLayerBelongsToTheMappedRoot as does its content then.
func (s suite) TestBaseLayerBelongsToTheMappedRoot(t *testing.T) {
	testutil.NeedRoot(t)
	h := s.open(t)
	opts := drivers.CreateOptions{
		UIDMap: []model.IDMap{{ContainerID: 1, HostID: 10, Size: 5}, {ContainerID: 0, HostID: 70000, Size: 1}},
		GIDMap: []model.IDMap{{ContainerID: 0, HostID: 80000, Size: 100}},
	}
	h.must(h.driver.Create(t.Context(), "layer", "", opts))
	h.create("child", "layer")
	for _, id := range []string{"layer", "child"} {
		h.inside(id, func(root string) {
			if stat := lstat(t, root); stat.Uid != 70000 || stat.Gid != 80000 {
				t.Errorf("root directory of %s belongs to %d:%d", id, stat.Uid, stat.Gid)
			}
		})
	}
	opts.GIDMap[0].ContainerID = 1
	if err := h.driver.Create(t.Context(), "other", "", opts); !errors.Is(err, model.ErrInvalidMappings) {
		t.Errorf("no group is mapped to root: got %v, want ErrInvalidMappings", err)
	}
}

// TestChildHasTheRootDirectoryOfItsParent: its mode and owner.
func (s suite) TestChildHasTheRootDirectoryOfItsParent(t *testing.T) {
	testutil.NeedRoot(t)
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) {
		h.must(os.Chown(root, 12, 34))
		h.must(unix.Chmod(root, 0o3751))
	})
	h.create("child", "base")
	h.inside("child", func(root string) {
		stat := lstat(t, root)
		if stat.Uid != 12 || stat.Gid != 34 || stat.Mode&0o7777 != 0o3751 {
			t.Errorf("root directory is %d:%d %o", stat.Uid, stat.Gid, stat.Mode)
		}
	})
}

// TestCreateThatIsInterruptedLeavesNothing, at whatever moment.
func (s suite) TestCreateThatIsInterruptedLeavesNothing(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.inside("base", func(root string) { testutil.Tree(t, root, 1) })
	before := h.homeNames()
	for patience := 0; ; patience++ {
		ctx := newImpatient(t.Context(), patience)
		err := h.driver.Create(ctx, "child", "base", drivers.CreateOptions{})
		if err == nil {
			if patience == 0 {
				t.Error("Create takes no notice of its context")
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d looks: got %v, want Canceled", patience, err)
		}
		if diff := cmp.Diff(before, h.homeNames()); diff != "" {
			t.Fatalf("after %d looks this is left:\n%s", patience, diff)
		}
	}
	h.wantLayers("base", "child")
}

// impatient is a context that ends after it has been looked at some times.
type impatient struct {
	context.Context //nolint:containedctx // it is one
	left            atomic.Int64
}

func newImpatient(ctx context.Context, looks int) *impatient {
	c := &impatient{Context: ctx}
	c.left.Store(int64(looks))
	return c
}

// Err tells whether it has ended.
func (c *impatient) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// homeNames returns the names of all files in the home but in layers' trees.
func (h *harness) homeNames() []string {
	h.Helper()
	var names []string
	h.must(filepath.WalkDir(h.config.Home, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}

func lstat(t testing.TB, path string) unix.Stat_t {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat
}
