package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// constructors are those of the two ways to mount.
func constructors() map[string]drivers.Constructor {
	return map[string]drivers.Constructor{"new calls": overlay.Open, "mount(2)": overlay.OpenClassic}
}

// openIn opens a driver with the given options. Its layers are unmounted and
// it is closed when the test ends.
func openIn(t testing.TB, construct drivers.Constructor, home string, options ...string) drivers.Driver {
	t.Helper()
	testutil.NeedRoot(t)
	driver, err := construct(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: options})
	must(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		ids, err := driver.List(ctx)
		must(t, err)
		for _, id := range ids {
			if err := driver.Unmount(ctx, id); err != nil {
				t.Error(err)
			}
		}
		must(t, driver.Close(ctx))
	})
	return driver
}

// newHome returns where a home can be made.
func newHome(t testing.TB) string {
	t.Helper()
	return filepath.Join(testutil.SharedLoop(t, "ext4"), "overlay")
}

// chain makes layers, each on top of the one before.
func chain(t testing.TB, d drivers.Driver, ids ...string) {
	t.Helper()
	parent := ""
	for _, id := range ids {
		must(t, d.Create(t.Context(), id, parent, drivers.CreateOptions{}))
		parent = id
	}
}

func mount(t testing.TB, d drivers.Driver, id string, options ...string) string {
	t.Helper()
	path, err := d.Mount(t.Context(), id, drivers.MountOptions{Options: options})
	must(t, err)
	return path
}

// mountAt returns what the kernel says about the mount at path.
func mountAt(t testing.TB, path string) *mountinfo.Info {
	t.Helper()
	infos, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	must(t, err)
	if len(infos) != 1 {
		t.Fatalf("%d mounts at %s", len(infos), path)
	}
	return infos[0]
}

func TestMountOptionsBecomeFlagsOrData(t *testing.T) {
	for _, test := range []struct {
		configured string
		options    []string
		want       string // options of the mount
		super      []string
	}{
		{want: "rw,relatime"},
		{configured: "nodev", want: "rw,nodev,relatime"},
		{configured: "nodev,nosuid,noexec", want: "rw,nosuid,nodev,noexec,relatime"},
		{configured: "nodev", options: []string{"nosuid"}, want: "rw,nosuid,relatime"},
		{configured: "nodev", options: []string{"ro"}, want: "ro,relatime"},
		{options: []string{"noexec,noatime", "nodiratime"}, want: "rw,noexec,noatime,nodiratime"},
		{options: []string{"noatime", "strictatime"}, want: "rw"},
		{options: []string{"strictatime", "relatime"}, want: "rw,relatime"},
		{options: []string{"nodev", "dev", "nosuid", "suid", "noexec", "exec", "noatime", "atime", "defaults", "", "rw,,"}, want: "rw,relatime"},
		{options: []string{"sync", "dirsync"}, want: "rw,relatime", super: []string{"sync", "dirsync"}},
		{options: []string{"sync", "async"}, want: "rw,relatime"},
		{options: []string{"index=on"}, want: "rw,relatime", super: []string{"index=on"}},
		{configured: "metacopy=on", options: []string{"nodev"}, want: "rw,nodev,relatime", super: []string{"metacopy=on"}},
		{configured: "metacopy=on", want: "rw,relatime", super: []string{"metacopy=on"}},
		{options: []string{"volatile"}, want: "rw,relatime", super: []string{"fsync=volatile"}},
	} {
		for name, construct := range constructors() {
			t.Run(fmt.Sprintf("%s/%s%q", name, test.configured, test.options), func(t *testing.T) {
				driver := openIn(t, construct, newHome(t), "overlay.mountopt="+test.configured)
				chain(t, driver, "base", "top")
				info := mountAt(t, mount(t, driver, "top", test.options...))
				if info.Options != test.want {
					t.Errorf("options are %q, want %q", info.Options, test.want)
				}
				super := strings.Split(info.VFSOptions, ",")
				for _, option := range []string{"sync", "dirsync", "index=on", "metacopy=on", "fsync=volatile"} {
					if got, want := slices.Contains(super, option), slices.Contains(test.super, option); got != want {
						t.Errorf("%s: %v, want %v", option, got, want)
					}
				}
			})
		}
	}
}

func TestMountOptionsThatAreNotForLayersAreRefused(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t))
	chain(t, driver, "base")
	for _, option := range []string{
		"remount", "bind", "rbind", "lowerdir=/etc", "lowerdir+=/etc", "datadir+=/etc", "upperdir=/etc", "workdir=/etc", "userxattr", "=x", "a\x00b",
	} {
		_, err := driver.Mount(t.Context(), "base", drivers.MountOptions{Options: []string{"nodev", option}})
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", option, err)
		}
	}
}

func TestMountErrorsSayWhatTheKernelSays(t *testing.T) {
	for name, construct := range constructors() {
		t.Run(name, func(t *testing.T) {
			driver := openIn(t, construct, newHome(t))
			chain(t, driver, "base")
			_, err := driver.Mount(t.Context(), "base", drivers.MountOptions{Options: []string{"unicorns=2"}})
			if !errors.Is(err, unix.EINVAL) || !strings.Contains(fmt.Sprint(err), "unicorns") {
				t.Errorf("got %v, want EINVAL and the option", err)
			}
		})
	}
}

// Below a shared mount, as / is on most machines, new mounts are shared too.
func TestMountsArePrivateUnlessAskedOtherwise(t *testing.T) {
	for name, construct := range constructors() {
		t.Run(name, func(t *testing.T) {
			disk := testutil.LoopMount(t, "ext4")
			must(t, unix.Mount("", disk, "", unix.MS_SHARED, ""))
			driver := openIn(t, construct, filepath.Join(disk, "overlay"))
			chain(t, driver, "base", "top")
			for option, want := range map[string]string{"": "", "private": "", "rprivate": "", "shared": "shared:", "unbindable": "unbindable"} {
				info := mountAt(t, mount(t, driver, "top", option))
				if !strings.HasPrefix(info.Optional, want) || want == "" && info.Optional != "" {
					t.Errorf("%q: propagation is %q, want %q", option, info.Optional, want)
				}
				must(t, driver.Unmount(t.Context(), "top"))
			}
		})
	}
}

// A mount point in a path that text cannot carry, or hardly.
func TestHomesMayHaveAnyPath(t *testing.T) {
	long := strings.Repeat("long/", 300)
	for _, name := range []string{"with,comma", "with:colon", `with\backslash`, `with"quote`, "with space\nand line", "lowerdir=x,ro", "\xff", long} {
		for way, construct := range constructors() {
			t.Run(way+"/"+name[:min(len(name), 20)], func(t *testing.T) {
				driver := openIn(t, construct, filepath.Join(testutil.SharedLoop(t, "ext4"), name, "overlay"))
				chain(t, driver, "base", "middle", "top")
				path := mount(t, driver, "top")
				must(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
				if _, err := os.Lstat(filepath.Join(filepath.Dir(path), "diff", "file")); err != nil {
					t.Error(err)
				}
				if _, mounted, err := driver.Mountpoint(t.Context(), "top"); err != nil || !mounted {
					t.Errorf("mounted: %v, %v", mounted, err)
				}
				changes, err := drivers.Changes(t.Context(), driver, "top", "base")
				must(t, err)
				if want := []model.Change{{Path: "/file", Kind: model.ChangeAdd}}; !slices.Equal(changes, want) {
					t.Errorf("changes are %v", changes)
				}
			})
		}
	}
}

// The text that mount(2) takes is kept below a page by shorter and shorter
// names.
func TestOldSystemCallNamesLayersInTheShortestWayThatIsNeeded(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.OpenClassic, home)
	parent := ""
	for depth := range 300 {
		id := fmt.Sprint("layer", depth)
		must(t, driver.Create(t.Context(), id, parent, drivers.CreateOptions{}))
		parent = id
	}
	for depth, want := range map[int]string{3: home + "/l/", 100: "l/", 299: ""} {
		id := fmt.Sprint("layer", depth)
		path := mount(t, driver, id)
		_, lowers, _ := strings.Cut(mountAt(t, path).VFSOptions, "lowerdir=")
		lowers, _, _ = strings.Cut(lowers, ",")
		list := strings.Split(lowers, ":")
		if len(list) != depth {
			t.Errorf("%d lower directories at depth %d", len(list), depth)
		}
		for _, lower := range list {
			if !strings.HasPrefix(lower, want) || want == "" && strings.Trim(lower, "0123456789") != "" {
				t.Errorf("at depth %d there is %q, want %q", depth, lower, want)
				break
			}
		}
		if cwd, err := os.Readlink("/proc/self/cwd"); err != nil || strings.HasPrefix(cwd, home) {
			t.Errorf("process is in %s, %v", cwd, err)
		}
	}
}

func TestThreadsOfOtherDirectoriesEnd(t *testing.T) {
	before, err := os.Getwd()
	must(t, err)
	results := make(chan string, 100)
	for range cap(results) {
		go func() {
			err := overlay.InDirectory("/proc/self/fd", func() error {
				cwd, err := os.Readlink("/proc/thread-self/cwd")
				if unix.Gettid() == unix.Getpid() {
					cwd = "the main thread is elsewhere"
				}
				results <- cwd
				return err
			})
			if err != nil {
				results <- err.Error()
			}
		}()
	}
	want := fmt.Sprintf("/proc/%d/fd", os.Getpid())
	for range cap(results) {
		if got := <-results; got != want {
			t.Errorf("a thread is in %s, want %s", got, want)
		}
	}
	if after, err := os.Getwd(); err != nil || after != before {
		t.Errorf("process is in %s, %v", after, err)
	}
	// The threads end soon after their goroutines.
	testutil.Eventually(t, "no thread is in the other directory", func() bool {
		tasks, err := filepath.Glob("/proc/self/task/*/cwd")
		must(t, err)
		return !slices.ContainsFunc(tasks, func(task string) bool {
			cwd, err := os.Readlink(task)
			return err == nil && cwd == want
		})
	})
}

func TestUnmountLeavesANewMountPoint(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t))
	chain(t, driver, "base")
	path, _, err := driver.Mountpoint(t.Context(), "base")
	must(t, err)
	must(t, os.Chown(path, 12, 34))
	// While it is open, nothing else gets its inode number.
	old, err := os.Open(path)
	must(t, err)
	defer old.Close()
	mount(t, driver, "base")
	must(t, driver.Unmount(t.Context(), "base"))
	before, err := old.Stat()
	must(t, err)
	after, err := os.Stat(path)
	must(t, err)
	if os.SameFile(before, after) {
		t.Error("mount point is the old directory")
	}
	if root := testutil.Snapshot(t, path)["."]; root.UID != 12 || root.GID != 34 || root.Mode != 0o700 {
		t.Errorf("new mount point is %v", root)
	}
}

func TestUnmountKeepsWhatSomebodyHasPutIntoTheMountPoint(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t))
	chain(t, driver, "base")
	path, _, err := driver.Mountpoint(t.Context(), "base")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(path, "stray"), []byte("content"), 0o600))
	mount(t, driver, "base")
	must(t, driver.Unmount(t.Context(), "base"))
	if content, err := os.ReadFile(filepath.Join(path, "stray")); err != nil || string(content) != "content" {
		t.Errorf("file contains %q, %v", content, err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

func TestForeignMountIsNotTakenForTheLayers(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t))
	chain(t, driver, "base")
	path, _, err := driver.Mountpoint(t.Context(), "base")
	must(t, err)
	must(t, unix.Mount("tmpfs", path, "tmpfs", 0, ""))
	if _, mounted, err := driver.Mountpoint(t.Context(), "base"); err != nil || mounted {
		t.Errorf("a tmpfs is taken for an overlay: %v, %v", mounted, err)
	}
	must(t, driver.Remove(t.Context(), "base"))
	if ids, err := driver.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("left: %q, %v", ids, err)
	}
}

// The kernel leaves undefined what happens when one overlay reads a directory
// that another one writes.
func TestMountedLayerIsShownByItsMount(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t))
	chain(t, driver, "base", "top")
	path := mount(t, driver, "top")
	must(t, os.WriteFile(filepath.Join(path, "file"), []byte("content"), 0o600))
	viewer, ok := driver.(drivers.Viewer)
	if !ok {
		t.Fatal("no views")
	}
	dir, release, err := viewer.View(t.Context(), "top")
	must(t, err)
	var mounted, shown unix.Stat_t
	must(t, unix.Stat(path, &mounted))
	must(t, unix.Stat(dir, &shown))
	if mounted.Dev != shown.Dev {
		t.Error("the layer is shown by another mount")
	}
	// Also when it is unmounted meanwhile.
	must(t, driver.Unmount(t.Context(), "top"))
	if content, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(content) != "content" {
		t.Errorf("file contains %q, %v", content, err)
	}
	must(t, release())
}

func TestMetadataNamesTheDirectoriesOfAMount(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base", "middle", "top")
	metadata := func(id string) (pairs []drivers.Pair) {
		teller, ok := driver.(drivers.MetadataDriver)
		if !ok {
			t.Fatal("no metadata")
		}
		pairs, err := teller.Metadata(t.Context(), id)
		must(t, err)
		return pairs
	}
	want := []drivers.Pair{
		{Name: "WorkDir", Value: home + "/top/work"},
		{Name: "MergedDir", Value: home + "/top/merged"},
		{Name: "UpperDir", Value: home + "/top/diff"},
		{Name: "LowerDir", Value: home + "/middle/diff:" + home + "/base/diff"},
	}
	if diff := cmp.Diff(want, metadata("top")); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if base := metadata("base"); len(base) != 3 || base[2].Value != home+"/base/diff" {
		t.Errorf("base has %v", base)
	}
}
