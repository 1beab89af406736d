package overlay_test

import (
	"archive/tar"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// besideForced returns a home whose layer "base" has entries with forced modes, and a driver with options that
// has it as that of another store.
func besideForced(t testing.TB, entries []*tar.Header, options ...string) (theirs, home string, driver drivers.Driver) {
	t.Helper()
	theirs = newHome(t)
	other := openIn(t, overlay.Open, theirs, "overlay.force_mask=shared")
	chain(t, other, "base")
	apply(t, other, "base", packed(t, entries))
	home, driver = openBesideWith(t, options, theirs)
	must(t, driver.Create(t.Context(), "top", "base", drivers.CreateOptions{}))
	return theirs, home, driver
}

// marksIn returns the names of the marks in a home.
func marksIn(t testing.TB, home string) []string {
	t.Helper()
	names, err := filepath.Glob(home + "/.has-*")
	must(t, err)
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	return names
}

func TestForcedLayersOfAnotherHomeAreReadAsWhatTheyShouldBe(t *testing.T) {
	theirs, home, driver := besideForced(t, odd())
	before := list(t, theirs)
	if stat, err := os.Stat(filepath.Join(home, "top", "diff")); err != nil || stat.Mode().Perm() != 0o555 {
		t.Errorf("root directory is %v, %v", stat.Mode(), err)
	}
	_, err := driver.Mount(t.Context(), "top", drivers.MountOptions{})
	wantErr(t, err, model.ErrUnsupported)
	wantFiles(t, driver, "top", "dir", "disk", "fifo", "null", "parent", "symlink")
	chain(t, driver, "own")
	mount(t, driver, "own") // which has nothing to do with it
	must(t, driver.Unmount(t.Context(), "own"))

	apply(t, driver, "top", packed(t, []*tar.Header{{Typeflag: tar.TypeReg, Name: "dir/more", Mode: 0o600, Uid: 5}}))
	for parent, want := range map[string][]string{"base": {"dir/", "dir/more"}, "own": {"dir/", "dir/link", "dir/more", "dir/setuid", "disk", "fifo", "null", "parent/", "parent/file", "symlink"}} {
		got := shown(t, diffOf(t, driver, "top", parent))
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("diff from %s: %s", parent, diff)
		}
		if dir := got["dir/"]; dir.Mode != 0o1777 || dir.Uid != 11 || dir.Gid != 12 {
			t.Errorf("diff from %s has %+v", parent, dir)
		}
		if more := got["dir/more"]; more.Mode != 0o600 || more.Uid != 5 {
			t.Errorf("diff from %s has %+v", parent, more)
		}
	}
	if file := shown(t, diffOf(t, driver, "base", ""))["dir/link"]; file.Mode != 0o4711 || file.Uid != 13 {
		t.Errorf("diff of their layer has %+v", file)
	}
	if marks := marksIn(t, home); len(marks) != 0 {
		t.Errorf("marks are %q", marks)
	}
	if diff := cmp.Diff(before, list(t, theirs)); diff != "" {
		t.Errorf("the other home has changed:\n%s", diff)
	}
}

// Where nobody forces modes the attribute is what somebody has put there.
func TestForcedModesOfAnotherHomeAreNotBelievedInLayersApart(t *testing.T) {
	_, home, driver := besideForced(t, odd())
	chain(t, driver, "own", "child")
	file := filepath.Join(home, "child", "diff", "file")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, unix.Setxattr(file, "user.containers.override_stat", []byte("0:0:4755:file"), 0))
	for _, parent := range []string{"own", "top"} {
		r := tar.NewReader(diffOf(t, driver, "child", parent))
		for {
			entry, err := r.Next()
			must(t, err)
			if entry.Name == "file" {
				if entry.Mode != 0o600 || len(entry.PAXRecords["SCHILY.xattr.user.containers.override_stat"]) == 0 {
					t.Errorf("diff from %s has %+v", parent, entry)
				}
				break
			}
		}
	}
}

func TestMountProgramShowsForcedLayersOfAnotherHome(t *testing.T) {
	_, home, driver := besideForced(t, odd()[:2], "overlay.mount_program="+fuseOverlayfs(t))
	root := mount(t, driver, "top")
	got := testutil.Snapshot(t, root)
	if file := got["dir/setuid"]; file.Mode != 0o4711 || file.UID != 13 || file.GID != 14 {
		t.Errorf("file is %v", file)
	}
	must(t, os.WriteFile(root+"/new", nil, 0o640))
	must(t, os.Chown(root+"/new", 21, 22))
	must(t, os.Chmod(root+"/dir/setuid", 0o711)) // is set-user-ID no more
	must(t, driver.Unmount(t.Context(), "top"))
	entries := shown(t, diffOf(t, driver, "top", "base"))
	if entry := entries["new"]; entry.Mode != 0o640 || entry.Uid != 21 || entry.Gid != 22 {
		t.Errorf("diff has %+v", entry)
	}
	if entry := entries["dir/setuid"]; entry.Mode != 0o711 || entry.Uid != 13 || len(entry.PAXRecords) != 0 {
		t.Errorf("diff has %+v", entry)
	}
	if diff := cmp.Diff([]string{".has-mount-program"}, marksIn(t, home)); diff != "" {
		t.Errorf("marks: %s", diff)
	}
}

// Files with forced modes have an attribute of the program's when it is to show
// them, which the kernel does not know even for reading.
func TestForcedLayersForAMountProgramAreNotReadWithoutOne(t *testing.T) {
	home := newHome(t)
	before := openIn(t, overlay.Open, home)
	driver := openIn(t, overlay.Open, home, "overlay.mount_program="+fuseOverlayfs(t), "overlay.force_mask=shared")
	chain(t, driver, "base")
	apply(t, driver, "base", packed(t, odd()[:2]))
	_, err := before.Mount(t.Context(), "base", readOnly())
	wantErr(t, err, model.ErrDriverPrerequisites)
	if file := shown(t, diffOf(t, openIn(t, overlay.Open, home), "base", ""))["dir/setuid"]; file.Mode != 0o4711 || file.Uid != 13 {
		t.Errorf("diff has %+v", file)
	}
}

// besideIndirect returns a home with layers that do not have all that belongs to
// them, what they show, and a driver that has it as that of another store.
func besideIndirect(t testing.TB) (theirs string, want testutil.Listing, home string, driver drivers.Driver) {
	t.Helper()
	theirs = newHome(t)
	withLower(t, theirs)
	other := openIn(t, overlay.Open, theirs, "overlay.mountopt=metacopy=on")
	changeIndirectly(t, mount(t, other, "top"))
	must(t, other.Unmount(t.Context(), "top"))
	want = content(t, other, "top")
	home, driver = openBeside(t, theirs)
	return theirs, want, home, driver
}

func TestIndirectLayersOfAnotherHomeAreShownAndComparedAsAWhole(t *testing.T) {
	theirs, want, home, driver := besideIndirect(t)
	before := list(t, theirs)
	must(t, driver.Create(t.Context(), "child", "top", drivers.CreateOptions{}))
	must(t, driver.Create(t.Context(), "fresh", "base", drivers.CreateOptions{}))
	chain(t, driver, "own")
	mount(t, driver, "own") // which has nothing to do with it
	must(t, driver.Unmount(t.Context(), "own"))
	if marks := marksIn(t, home); len(marks) != 0 {
		t.Errorf("marks are %q", marks)
	}

	apply(t, driver, "child", packed(t, []*tar.Header{{Typeflag: tar.TypeReg, Name: "renamed/sub/file", Mode: 0o644}}))
	changes, err := drivers.Changes(t.Context(), driver, "child", "top")
	must(t, err)
	if len(changes) == 0 || slices.ContainsFunc(changes, func(c model.Change) bool {
		return c.Kind != model.ChangeModify || !strings.HasPrefix(c.Path, "/renamed")
	}) {
		t.Errorf("changes are %v", changes)
	}
	apply(t, driver, "fresh", diffOf(t, driver, "top", "base"))
	read(t, driver, "top", "file", "content of file")
	read(t, driver, "child", "file", "content of file")
	names := slices.Sorted(maps.Keys(want))
	for _, id := range []string{"top", "child", "fresh"} {
		path, err := driver.Mount(t.Context(), id, readOnly())
		must(t, err)
		got := testutil.Snapshot(t, path)
		must(t, driver.Unmount(t.Context(), id))
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", id, diff)
		}
		if got["file"].SHA256 != want["file"].SHA256 || got["file"].Mode != 0o4755 {
			t.Errorf("%s has %v", id, got["file"])
		}
	}
	if diff := cmp.Diff(before, list(t, theirs)); diff != "" {
		t.Errorf("the other home has changed:\n%s", diff)
	}
}

// What is mounted for writing like the layers below it is written like them.
func TestLayersOnIndirectOnesOfAnotherHomeAreNoted(t *testing.T) {
	theirs, _, home, driver := besideIndirect(t)
	must(t, driver.Create(t.Context(), "child", "top", drivers.CreateOptions{}))
	must(t, driver.Create(t.Context(), "grandchild", "child", drivers.CreateOptions{}))
	root := mount(t, driver, "child")
	must(t, os.Chmod(root+"/renamed/sub/file", 0o600))
	must(t, os.Rename(root+"/renamed", root+"/again"))
	must(t, driver.Unmount(t.Context(), "child"))
	if diff := cmp.Diff([]string{".has-metacopy", ".has-redirect"}, marksIn(t, home)); diff != "" {
		t.Errorf("marks: %s", diff)
	}
	for _, id := range []string{"child", "grandchild"} {
		read(t, driver, id, "again/sub/file", "below")
	}
	_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Others: []string{theirs}, Options: []string{"overlay.mount_program=" + fuseOverlayfs(t)}})
	wantErr(t, err, model.ErrUnsupported)
}

func TestMountProgramsDoNotGetIndirectLayersOfAnotherHome(t *testing.T) {
	theirs, _, _, _ := besideIndirect(t)
	_, driver := openBesideWith(t, []string{"overlay.mount_program=" + fuseOverlayfs(t)}, theirs)
	must(t, driver.Create(t.Context(), "child", "top", drivers.CreateOptions{}))
	for _, id := range []string{"top", "child"} {
		_, err := driver.Mount(t.Context(), id, readOnly())
		wantErr(t, err, model.ErrUnsupported)
	}
	chain(t, driver, "own")
	wantFiles(t, driver, "own")
}
