package drivertest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// TestMountTwiceIsMountingOnce and unmounting twice is unmounting once.
func (s suite) TestMountTwiceIsMountingOnce(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	h.unmount("top") // what is not mounted
	first := h.mount("top")
	writeFile(t, filepath.Join(first, "file"), "content")
	mounted := len(h.mounts())
	if second := h.mount("top"); second != first {
		t.Errorf("mounted at %s and then at %s", first, second)
	}
	if again := len(h.mounts()); again != mounted {
		t.Errorf("%d mounts and then %d", mounted, again)
	}
	if got := readFile(t, filepath.Join(first, "file")); got != "content" {
		t.Errorf("file contains %q", got)
	}
	h.unmount("top")
	h.unmount("top")
	if left := h.mounts(); len(left) > 0 {
		t.Errorf("still mounted: %q", left)
	}
	if got := h.read("top", "file"); got != "content" {
		t.Errorf("mounted again, the file contains %q", got)
	}
}

// TestMountpointTellsWhatTheKernelKnows and not what the driver remembers.
func (s suite) TestMountpointTellsWhatTheKernelKnows(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	check := func(when, wantPath string, want bool) {
		t.Helper()
		path, mounted, err := h.driver.Mountpoint(t.Context(), "top")
		h.must(err)
		if mounted != want {
			t.Errorf("%s: mounted is %v, want %v", when, mounted, want)
		}
		if wantPath != "" && path != wantPath {
			t.Errorf("%s: mount point is %s, want %s", when, path, wantPath)
		}
	}
	check("at first", "", false)
	path := h.mount("top")
	check("mounted", path, !s.traits.NoMounts)
	if s.traits.NoMounts {
		return
	}
	other := s.openAt(t, h.config)
	if _, mounted, err := other.driver.Mountpoint(t.Context(), "top"); err != nil || !mounted {
		t.Errorf("another driver on the same home says %v, %v", mounted, err)
	}
	h.must(unix.Unmount(path, unix.MNT_DETACH))
	check("unmounted by somebody else", path, false)
	h.unmount("top")
	if again := h.mount("top"); again != path {
		t.Errorf("mounted at %s and then at %s", path, again)
	}
	h.unmount("top")
	check("unmounted", path, false)
}

// TestUnmountWorksWhileFilesAreOpen because nobody could be made to close
// them.
func (s suite) TestUnmountWorksWhileFilesAreOpen(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	file, err := os.Create(filepath.Join(h.mount("top"), "file"))
	h.must(err)
	h.unmount("top")
	if left := h.mounts(); len(left) > 0 {
		t.Errorf("still mounted: %q", left)
	}
	_, err = file.WriteString("written later")
	h.must(errors.Join(err, file.Close()))
	if got := h.read("top", "file"); got != "written later" {
		t.Errorf("file contains %q", got)
	}
}

// TestReadOnlyMountsCannotBeWritten in either way to ask for one.
func (s suite) TestReadOnlyMountsCannotBeWritten(t *testing.T) {
	h := s.open(t)
	h.create("base", "")
	h.write("base", "below", "of base")
	h.create("top", "base")
	h.write("top", "file", "of top")
	for name, opts := range map[string]drivers.MountOptions{
		"ReadOnly":  {ReadOnly: true},
		"option ro": {Options: []string{"ro"}},
	} {
		for _, id := range []string{"base", "top"} {
			path, err := h.driver.Mount(t.Context(), id, opts)
			h.must(err)
			if got := readFile(t, filepath.Join(path, "below")); got != "of base" {
				t.Errorf("%s: file of %s contains %q", name, id, got)
			}
			if !s.traits.WritableViews {
				err = os.WriteFile(filepath.Join(path, "new"), nil, 0o600)
				if !errors.Is(err, unix.EROFS) {
					t.Errorf("%s: writing to %s: got %v, want EROFS", name, id, err)
				}
			}
			h.unmount(id)
		}
	}
	if got := h.snapshot("top"); len(got) != 3 {
		t.Errorf("top contains %v", got.Lines())
	}
}

// TestVolatileLayerCanBeMountedAgain although it has not been synced.
func (s suite) TestVolatileLayerCanBeMountedAgain(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	for _, opts := range []drivers.MountOptions{{Volatile: true}, {Volatile: true}, {}, {Volatile: true, ReadOnly: true}} {
		path, err := h.driver.Mount(t.Context(), "top", opts)
		h.must(err)
		if !opts.ReadOnly {
			writeFile(t, filepath.Join(path, "file"), "content")
		}
		h.unmount("top")
	}
	if got := h.read("top", "file"); got != "content" {
		t.Errorf("file contains %q", got)
	}
}

// TestMountRefusesOptionsThatMakeNoSense and mounts nothing.
func (s suite) TestMountRefusesOptionsThatMakeNoSense(t *testing.T) {
	h := s.open(t)
	h.create("layer", "")
	for _, options := range [][]string{{"bind"}, {"ro", "remount"}, {"lowerdir=/etc"}, {"ro,upperdir=/etc"}} {
		if _, err := h.driver.Mount(t.Context(), "layer", drivers.MountOptions{Options: options}); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", options, err)
		}
	}
	if left := h.mounts(); len(left) > 0 {
		t.Errorf("mounted: %q", left)
	}
}

// TestMountsOutliveTheDriver: processes come and go, containers stay.
func (s suite) TestMountsOutliveTheDriver(t *testing.T) {
	h := s.open(t)
	h.chain("base", "top")
	path := h.mount("top")
	writeFile(t, filepath.Join(path, "file"), "content")
	h.openAndClose(s)
	if got := readFile(t, filepath.Join(path, "file")); got != "content" {
		t.Errorf("file contains %q", got)
	}
	other := s.openAt(t, h.config)
	if again := other.mount("top"); again != path {
		t.Errorf("mounted at %s and then at %s", path, again)
	}
	other.unmount("top")
	if left := h.mounts(); len(left) > 0 {
		t.Errorf("still mounted: %q", left)
	}
	if got, want := other.list(), []string{"base", "top"}; !slices.Equal(got, want) {
		t.Errorf("layers are %q, want %q", got, want)
	}
}
