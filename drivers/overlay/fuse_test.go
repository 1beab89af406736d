package overlay_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/drivertest"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// fuseOverlayfs returns the path of fuse-overlayfs.
func fuseOverlayfs(t testing.TB) string {
	t.Helper()
	testutil.NeedRoot(t)
	testutil.NeedTool(t, "fuse-overlayfs")
	if _, err := os.Stat("/dev/fuse"); err != nil {
		testutil.Missing(t, "FUSE: %v", err)
	}
	path, err := exec.LookPath("fuse-overlayfs")
	must(t, err)
	return path
}

// with returns a constructor that has options before those of the caller.
func with(construct drivers.Constructor, options ...string) drivers.Constructor {
	return func(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
		config.Options = append(options, config.Options...)
		return construct(ctx, config)
	}
}

// fuseTraits are those of layers that fuse-overlayfs mounts.
func fuseTraits() drivertest.Traits {
	traits := traits("ext4")
	traits.LinksBreak = false
	traits.MaxName = 255 - len(".wh.")
	traits.NoColons = true
	// Where a directory was deleted and made again, version 1.10 lists only some
	// of what is in it.
	const lists = "fuse-overlayfs 1.10 does not list all files of directories that were deleted and made again"
	traits.Defects = map[string]string{"AnyTwoLayersCanBeCompared": lists, "DiffsCarryWhateverWasDone": lists}
	return traits
}

func TestConformanceWithAMountProgram(t *testing.T) {
	drivertest.Run(t, with(overlay.Open, "overlay.mount_program="+fuseOverlayfs(t)), fuseTraits())
}

func TestMountProgramMountsLayersAndViews(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home, "overlay.mount_program="+fuseOverlayfs(t), "overlay.mountopt=nosuid,metacopy=on,redirect_dir=on")
	chain(t, driver, "base", "top")
	if info := mountAt(t, mount(t, driver, "base")); !strings.HasPrefix(info.Options, "rw,nosuid,noatime") {
		t.Errorf("mount is %+v", info)
	}
	path := mount(t, driver, "top", "nodev", "nosuid", "noexec")
	info := mountAt(t, path)
	if info.FSType != "fuse.fuse-overlayfs" || info.Options != "rw,nosuid,nodev,noexec,noatime" || info.Optional != "" {
		t.Errorf("mount is %+v", info)
	}
	must(t, os.WriteFile(path+"/file", []byte("content"), 0o600))
	_, err := os.Stat(filepath.Join(home, "top", "diff", "file"))
	must(t, err)
	must(t, driver.Unmount(t.Context(), "top"))
	if _, mounted, err := driver.Mountpoint(t.Context(), "top"); err != nil || mounted {
		t.Errorf("still mounted: %v, %v", mounted, err)
	}
	info = mountAt(t, mount(t, driver, "top", "ro"))
	if !strings.HasPrefix(info.Options, "ro,") || strings.Contains(info.Options, "nodev") {
		t.Errorf("mount is %+v", info)
	}
}

// What the kernel holds back must be there when the layer is not.
func TestUnmountWaitsForWhatTheMountProgramWrites(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home, "overlay.mount_program="+fuseOverlayfs(t))
	chain(t, driver, "layer")
	path := mount(t, driver, "layer")
	held, err := os.Create(path + "/file") // open: the mount outlives its unmounting
	must(t, err)
	defer held.Close()
	const size = 8 << 20
	_, err = held.Write(bytes.Repeat([]byte("x"), size))
	must(t, err)
	must(t, driver.Unmount(t.Context(), "layer"))
	content, err := os.ReadFile(filepath.Join(home, "layer", "diff", "file"))
	if err != nil || len(content) != size || bytes.Count(content, []byte("x")) != size {
		t.Errorf("there are %d bytes, %v", len(content), err)
	}
}

func TestLayersOfAMountProgramAreNotMountedByTheKernel(t *testing.T) {
	program, home := fuseOverlayfs(t), newHome(t)
	native := openIn(t, overlay.Open, home)
	chain(t, native, "base")
	must(t, os.WriteFile(mount(t, native, "base")+"/native", nil, 0o600))
	must(t, native.Unmount(t.Context(), "base"))

	// What the kernel has written can be read by the program, which changes
	// nothing.
	byProgram := openIn(t, overlay.Open, home, "overlay.mount_program="+program)
	chain(t, byProgram, "other")
	mount(t, byProgram, "other", "ro")
	must(t, byProgram.Unmount(t.Context(), "other"))
	mount(t, native, "other")
	must(t, native.Unmount(t.Context(), "other"))
	if _, err := os.Stat(mount(t, byProgram, "base") + "/native"); err != nil {
		t.Error(err)
	}
	must(t, byProgram.Unmount(t.Context(), "base"))

	// From then on the program is used whether it is configured or not, and
	// whoever has opened the home before must not mount any more.
	_, err := native.Mount(t.Context(), "other", drivers.MountOptions{})
	wantErr(t, err, model.ErrDriverPrerequisites)
	_, err = drivers.Changes(t.Context(), native, "other", "")
	wantErr(t, err, model.ErrDriverPrerequisites)
	again := openIn(t, overlay.Open, home)
	if info := mountAt(t, mount(t, again, "other")); info.FSType != "fuse.fuse-overlayfs" {
		t.Errorf("mounted as %s", info.FSType)
	}
	must(t, again.Unmount(t.Context(), "other"))

	t.Setenv("PATH", t.TempDir())
	_, err = overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run"})
	wantErr(t, err, model.ErrDriverPrerequisites)
	if err == nil || !strings.Contains(err.Error(), "mount_program") {
		t.Errorf("%v does not say what to do", err)
	}
}

func TestMountProgramsThatAreNoneAreErrors(t *testing.T) {
	home, dir := newHome(t), t.TempDir()
	must(t, os.WriteFile(dir+"/plain", nil, 0o600))
	for _, path := range []string{"/no/such/program", dir, dir + "/plain", "fuse-overlayfs"} {
		_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: []string{"overlay.mount_program=" + path}})
		wantErr(t, err, model.ErrInvalid)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
	if _, err := os.Stat(home); err == nil {
		t.Error("the home was made")
	}

	testutil.NeedRoot(t)
	for script, want := range map[string]string{"echo the reason >&2; exit 3": "the reason", "exit 0": "nothing is mounted"} {
		program := filepath.Join(dir, "program")
		must(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
		driver := openIn(t, overlay.Open, newHome(t), "overlay.mount_program="+program)
		chain(t, driver, "layer")
		_, err := driver.Mount(t.Context(), "layer", drivers.MountOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), program) {
			t.Errorf("%q: got %v", script, err)
		}
	}
}

func TestLayersWhoseMountProgramHasEndedAreMountedAgain(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t), "overlay.mount_program="+fuseOverlayfs(t))
	chain(t, driver, "layer")
	for range 2 {
		path := mount(t, driver, "layer")
		must(t, os.WriteFile(path+"/file", nil, 0o600))
		end(t, path)
		if _, mounted, err := driver.Mountpoint(t.Context(), "layer"); err != nil || mounted {
			t.Errorf("mounted: %v, %v", mounted, err)
		}
	}
	must(t, driver.Unmount(t.Context(), "layer"))
	must(t, driver.Remove(t.Context(), "layer"))
}

// end kills the process that serves a mount.
func end(t testing.TB, path string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.HasSuffix(line, []byte(path+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		must(t, err)
		must(t, unix.Kill(pid, unix.SIGKILL))
		testutil.Eventually(t, "the mount is dead", func() bool {
			var stat unix.Statfs_t
			return errors.Is(unix.Statfs(path, &stat), unix.ENOTCONN)
		})
		return
	}
	t.Fatalf("nobody serves %s", path)
}

// Deletions of the program have forms of their own; what is below them must not
// come back in diffs, nor when a diff is applied.
func TestLayersOfAMountProgramCanBeCopied(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t), "overlay.mount_program="+fuseOverlayfs(t))
	chain(t, driver, "base", "top", "copy")
	must(t, driver.Remove(t.Context(), "copy"))
	must(t, driver.Create(t.Context(), "copy", "base", drivers.CreateOptions{}))
	root := mount(t, driver, "base")
	must(t, os.MkdirAll(root+"/dir/sub", 0o755))
	must(t, os.WriteFile(root+"/dir/old", nil, 0o600))
	must(t, os.WriteFile(root+"/file", nil, 0o600))
	must(t, driver.Unmount(t.Context(), "base"))
	root = mount(t, driver, "top")
	must(t, os.RemoveAll(root+"/dir"))
	must(t, os.Remove(root+"/file"))
	must(t, os.MkdirAll(root+"/dir/new", 0o755))
	want := testutil.Snapshot(t, root)
	must(t, driver.Unmount(t.Context(), "top"))

	changes, err := drivers.Changes(t.Context(), driver, "top", "base")
	must(t, err)
	var diff bytes.Buffer
	must(t, drivers.Diff(t.Context(), driver, "top", "base", &diff))
	_, err = drivers.Apply(t.Context(), driver, "copy", tar.NewReader(&diff), archive.UnpackOptions{})
	must(t, err)
	got := testutil.Snapshot(t, mount(t, driver, "copy"))
	if names, wanted := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(names, wanted) {
		t.Errorf("copy has %q, want %q; changes are %v", names, wanted, changes)
	}
}

// The home of another store may be where no option could name it.
func TestMountProgramReadsOtherHomes(t *testing.T) {
	program := fuseOverlayfs(t)
	for _, name := range []string{"plain", `a:b,c\d"e f`} {
		t.Run(name, func(t *testing.T) {
			theirs := filepath.Join(newHome(t), name)
			other := openIn(t, overlay.Open, theirs)
			chain(t, other, "base", "top")
			for id, file := range map[string]string{"base": "old", "top": "new"} {
				must(t, os.WriteFile(mount(t, other, id)+"/"+file, []byte(id), 0o600))
				must(t, other.Unmount(t.Context(), id))
			}
			must(t, os.Remove(mount(t, other, "top")+"/old"))
			must(t, other.Unmount(t.Context(), "top"))
			must(t, os.WriteFile(theirs+"/.has-mount-program", []byte("true"), 0o600))
			before := list(t, theirs)

			_, native := openBeside(t, theirs)
			_, err := native.Mount(t.Context(), "top", readOnly())
			wantErr(t, err, model.ErrDriverPrerequisites)
			home, driver := openBesideWith(t, []string{"overlay.mount_program=" + program}, theirs)
			wantFiles(t, driver, "top", "new")
			wantFiles(t, driver, "base", "old")
			must(t, driver.Create(t.Context(), "child", "top", drivers.CreateOptions{}))
			must(t, os.WriteFile(mount(t, driver, "child")+"/more", nil, 0o600))
			if info := mountAt(t, filepath.Join(home, "child", "merged")); info.FSType != "fuse.fuse-overlayfs" {
				t.Errorf("mounted as %s", info.FSType)
			}
			must(t, driver.Unmount(t.Context(), "child"))
			wantFiles(t, driver, "child", "more", "new")

			// A mount whose program has ended is in nobody's way.
			path, err := driver.Mount(t.Context(), "top", readOnly())
			must(t, err)
			end(t, path)
			wantFiles(t, driver, "top", "new")
			if _, err := os.Lstat(home + "-run/top"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory of the mount point is left (%v)", err)
			}
			if diff := cmp.Diff(before, list(t, theirs)); diff != "" {
				t.Errorf("the other home has changed:\n%s", diff)
			}
		})
	}
}
