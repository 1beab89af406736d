package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/project"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// writable makes a writable layer.
func writable(t testing.TB, d drivers.Driver, id, parent string, options map[string]string) error {
	t.Helper()
	return d.Create(t.Context(), id, parent, drivers.CreateOptions{Writable: true, StorageOpt: options})
}

// write writes a file of a number of bytes.
func write(path string, size int) error {
	err := os.WriteFile(path, make([]byte, size), 0o600)
	if err == nil {
		return nil
	}
	return errors.Join(err, os.Remove(path))
}

func wantFull(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, unix.EDQUOT) && !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v, want EDQUOT or ENOSPC", err)
	}
}

func TestQuotasLimitWritableLayersAndNoOthers(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		home := filepath.Join(dir, "overlay")
		driver := openIn(t, overlay.Open, home, "overlay.size=2m", "overlay.inodes=100")
		chain(t, driver, "base")
		must(t, writable(t, driver, "default", "base", nil))
		must(t, writable(t, driver, "large", "base", map[string]string{"size": "8m"}))
		must(t, writable(t, driver, "free", "base", map[string]string{"size": "0", "inodes": "0"}))

		base := mount(t, driver, "base")
		must(t, write(base+"/lower", 3<<20))
		must(t, driver.Unmount(t.Context(), "base"))

		inDefault, inLarge, inFree := mount(t, driver, "default"), mount(t, driver, "large"), mount(t, driver, "free")
		wantFull(t, write(inDefault+"/file", 4<<20))
		wantFull(t, os.Chmod(inDefault+"/lower", 0o644)) // which copies it
		must(t, write(inDefault+"/small", 1<<20))
		must(t, write(inLarge+"/file", 4<<20))
		wantFull(t, write(inLarge+"/more", 8<<20))
		must(t, write(inFree+"/file", 16<<20))

		// The size of the file system is what the layer may take.
		var stat unix.Statfs_t
		must(t, unix.Statfs(inDefault, &stat))
		if size := stat.Blocks * uint64(stat.Bsize); size > 2<<20 {
			t.Errorf("file system has %d bytes", size)
		}

		// Closing changes nothing.
		must(t, driver.Unmount(t.Context(), "default"))
		again := openIn(t, overlay.OpenClassic, home)
		inDefault = mount(t, again, "default")
		wantFull(t, write(inDefault+"/file", 4<<20))
		must(t, write(inDefault+"/other", 128<<10))
	})
}

func TestQuotasLimitInodes(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		driver := openIn(t, overlay.Open, filepath.Join(dir, "overlay"))
		must(t, writable(t, driver, "few", "", map[string]string{"inodes": "20"}))
		must(t, writable(t, driver, "many", "", nil))
		made := func(id string) (int, error) {
			root := mount(t, driver, id)
			for i := range 40 {
				if err := os.Mkdir(filepath.Join(root, strings.Repeat("x", i+1)), 0o700); err != nil {
					return i, err
				}
			}
			return 40, nil
		}
		n, err := made("few")
		wantFull(t, err)
		if n < 10 || n > 20 {
			t.Errorf("%d directories could be made", n)
		}
		if n, err := made("many"); err != nil {
			t.Errorf("only %d directories could be made: %v", n, err)
		}
	})
}

func TestQuotasLimitLayersOnThoseOfAnotherHome(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		other := openIn(t, overlay.Open, filepath.Join(dir, "other"))
		chain(t, other, "base")
		must(t, write(mount(t, other, "base")+"/lower", 3<<20))
		must(t, other.Unmount(t.Context(), "base"))
		driver, err := overlay.Open(t.Context(), drivers.Config{
			Home: filepath.Join(dir, "overlay"), RunHome: filepath.Join(dir, "run"), Options: []string{"size=2m"}, Others: []string{filepath.Join(dir, "other")},
		})
		must(t, err)
		must(t, writable(t, driver, "limited", "base", nil))
		root := mount(t, driver, "limited")
		wantFull(t, os.Chmod(root+"/lower", 0o644)) // which copies it
		must(t, write(root+"/small", 1<<20))
		measurer, ok := driver.(drivers.Measurer)
		if !ok {
			t.Fatal("nothing is measured")
		}
		for id, want := range map[string]bool{"limited": true, "base": false} {
			if size, err := measurer.Measure(t.Context(), id); err != nil || (size >= 1<<20) != want {
				t.Errorf("%s takes %d bytes, %v", id, size, err)
			}
		}
		must(t, driver.Remove(t.Context(), "limited"))
		must(t, driver.Close(t.Context()))
	})
}

func TestRemovedLayersLeaveNoLimits(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		home := filepath.Join(dir, "overlay")
		driver := openIn(t, overlay.Open, home)
		must(t, writable(t, driver, "layer", "", map[string]string{"size": "1g", "inodes": "5000"}))
		path := filepath.Join(mount(t, driver, "layer"), "file")
		must(t, write(path, 1<<20))
		must(t, os.Truncate(path, 100<<20)) // which takes no room

		measurer, ok := driver.(drivers.Measurer)
		if !ok {
			t.Fatal("cannot measure")
		}
		size, err := measurer.Measure(t.Context(), "layer")
		must(t, err)
		if size < 1<<20 || size > 2<<20 {
			t.Errorf("layer takes %d bytes", size)
		}
		file, err := os.Open(filepath.Join(home, "layer", "diff"))
		must(t, err)
		id, err := project.Of(int(file.Fd()))
		must(t, errors.Join(err, file.Close()))

		must(t, driver.Remove(t.Context(), "layer"))
		root, err := os.Open(home)
		must(t, err)
		defer root.Close()
		// XFS frees what the layer has taken a little later.
		if limits, _, err := project.Get(int(root.Fd()), id); err != nil || limits != (project.Limits{}) {
			t.Errorf("project %d still has %v, %v", id, limits, err)
		}
	})
}

// A project that the administrator has put the home into is not the layers'.
func TestProjectOfTheHomeIsNotTouched(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		home := filepath.Join(dir, "overlay")
		must(t, os.Mkdir(home, 0o700))
		root, err := os.Open(home)
		must(t, err)
		defer root.Close()
		const administrators = 1<<31 + 5
		fd := int(root.Fd())
		must(t, project.Set(fd, administrators, project.Limits{Bytes: 100 << 20}))
		must(t, project.Put(fd, administrators))

		driver := openIn(t, overlay.Open, home)
		must(t, writable(t, driver, "theirs", "", nil))
		must(t, writable(t, driver, "own", "", map[string]string{"size": "1m"}))
		wantFull(t, write(mount(t, driver, "own")+"/file", 2<<20))
		must(t, write(mount(t, driver, "theirs")+"/file", 2<<20))
		must(t, driver.Remove(t.Context(), "theirs"))
		must(t, driver.Remove(t.Context(), "own"))
		if limits, _, err := project.Get(fd, administrators); err != nil || limits.Bytes != 100<<20 {
			t.Errorf("limits are %v, %v", limits, err)
		}
	})
}

func TestQuotasWithoutTheFileSystemAreRefused(t *testing.T) {
	home := newHome(t)
	for _, option := range []string{"overlay.size=10g", ".inodes=7"} {
		_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: []string{option}})
		wantErr(t, err, model.ErrUnsupported)
		if err == nil || !strings.Contains(err.Error(), home) {
			t.Errorf("%s: %v does not name the home", option, err)
		}
		if errors.Is(err, model.ErrDriverNotSupported) || errors.Is(err, model.ErrIncompatibleFS) {
			t.Errorf("%s: %v would make another driver be tried, without limits", option, err)
		}
	}
	driver := openIn(t, overlay.Open, home, "overlay.size=0", "overlay.inodes=")
	wantErr(t, writable(t, driver, "a", "", map[string]string{"size": "1g"}), model.ErrUnsupported)
	must(t, writable(t, driver, "b", "", map[string]string{"size": "0"}))
}

func TestQuotasThatMakeNoSenseAreRefused(t *testing.T) {
	home := newHome(t)
	for _, option := range []string{"overlay.size=much", "overlay.size=-1", "overlay.size=1x", "overlay.inodes=1k", "overlay.inodes=-1"} {
		_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: []string{option}})
		wantErr(t, err, model.ErrInvalid)
	}
	driver := openIn(t, overlay.Open, home)
	for key, value := range map[string]string{"size": "much", "inodes": "1.5", "unicorn": "1"} {
		wantErr(t, writable(t, driver, "a", "", map[string]string{key: value}), model.ErrInvalid)
	}
	err := driver.Create(t.Context(), "a", "", drivers.CreateOptions{StorageOpt: map[string]string{"size": "0"}})
	wantErr(t, err, model.ErrInvalid)
	if ids, err := driver.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("left: %q, %v", ids, err)
	}
}

// recorder is a kernel with project quotas that does nothing but note what it is
// told. Of projects it knows that of one directory by its inode.
type recorder struct {
	calls []string
	of    map[uint64]project.ID
	fail  string // the call that fails
}

var errNoQuota = errors.New("no quota")

func (r *recorder) note(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	r.calls = append(r.calls, call)
	if strings.HasPrefix(call, r.fail) && r.fail != "" {
		r.fail = ""
		return errNoQuota
	}
	return nil
}

func inode(fd int) uint64 {
	var stat unix.Stat_t
	_ = unix.Fstat(fd, &stat)
	return stat.Ino
}

const ourProject project.ID = 1<<31 + 1

func (r *recorder) Check(int) error                 { return nil }
func (r *recorder) New(int) (project.ID, error)     { return ourProject, r.note("new") }
func (r *recorder) Of(fd int) (project.ID, error)   { return r.of[inode(fd)], nil }
func (r *recorder) Put(fd int, id project.ID) error { r.of[inode(fd)] = id; return r.note("put") }
func (r *recorder) Get(int, project.ID) (project.Limits, project.Usage, error) {
	return project.Limits{}, project.Usage{Bytes: 123}, r.note("get")
}

func (r *recorder) Set(_ int, id project.ID, l project.Limits) error {
	return r.note("set %t %d %d", id == ourProject, l.Bytes, l.Inodes)
}

func TestLimitsAreSetBeforeALayerHasAProjectAndGoWithIt(t *testing.T) {
	kernel := &recorder{of: make(map[uint64]project.ID)}
	driver := openIn(t, overlay.OpenWithProjects(kernel), newHome(t), "overlay.size=1k")
	chain(t, driver, "base")
	must(t, driver.Remove(t.Context(), "base"))
	if len(kernel.calls) > 0 {
		t.Errorf("a layer that is not writable has a quota: %q", kernel.calls)
	}
	want := []string{"new", "set true 1024 7", "put", "put", "get", "set true 0 0"}
	must(t, writable(t, driver, "layer", "", map[string]string{"inodes": "7"}))
	measurer, ok := driver.(drivers.Measurer)
	if !ok {
		t.Fatal("cannot measure")
	}
	if size, err := measurer.Measure(t.Context(), "layer"); err != nil || size != 123 {
		t.Errorf("measured %d bytes, %v", size, err)
	}
	must(t, driver.Remove(t.Context(), "layer"))
	if diff := cmp.Diff(want, kernel.calls); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestLayersThatCannotBeLimitedAreNotMade(t *testing.T) {
	for _, fail := range []string{"new", "set", "put"} {
		kernel := &recorder{of: make(map[uint64]project.ID), fail: fail}
		driver := openIn(t, overlay.OpenWithProjects(kernel), newHome(t), "overlay.size=1k")
		wantErr(t, writable(t, driver, "layer", "", nil), errNoQuota)
		if ids, err := driver.List(t.Context()); err != nil || len(ids) != 0 {
			t.Errorf("%s: left: %q, %v", fail, ids, err)
		}
		if last := kernel.calls[len(kernel.calls)-1]; fail == "put" && last != "set true 0 0" {
			t.Errorf("the limits stay: %q", kernel.calls)
		}
	}
}
