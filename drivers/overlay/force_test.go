package overlay_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// odd are entries with owners, modes and types that forced files do not have.
func odd() []*tar.Header {
	return []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "dir/", Mode: 0o1777, Uid: 11, Gid: 12},
		{Typeflag: tar.TypeReg, Name: "dir/setuid", Mode: 0o4711, Uid: 13, Gid: 14, Size: 5},
		{Typeflag: tar.TypeLink, Name: "dir/link", Linkname: "dir/setuid", Mode: 0o4711, Uid: 13, Gid: 14},
		{Typeflag: tar.TypeFifo, Name: "fifo", Mode: 0o622, Uid: 15, Gid: 16},
		{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3},
		{Typeflag: tar.TypeBlock, Name: "disk", Mode: 0o660, Gid: 6, Devmajor: 8, Devminor: 1},
		{Typeflag: tar.TypeSymlink, Name: "symlink", Linkname: "dir", Mode: 0o777},
		{Typeflag: tar.TypeReg, Name: "parent/file", Mode: 0o644},
	}
}

// packed writes entries as an archive.
func packed(t testing.TB, entries []*tar.Header) *bytes.Buffer {
	t.Helper()
	var diff bytes.Buffer
	w := tar.NewWriter(&diff)
	for _, entry := range entries {
		must(t, w.WriteHeader(entry))
		_, err := io.CopyN(w, strings.NewReader("12345"), entry.Size)
		must(t, err)
	}
	must(t, w.Close())
	return &diff
}

// shown returns what is of interest in the entries of an archive.
func shown(t testing.TB, diff io.Reader) map[string]tar.Header {
	t.Helper()
	entries := make(map[string]tar.Header)
	r := tar.NewReader(diff)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		must(t, err)
		if len(h.PAXRecords) > 2 { // times
			t.Errorf("%s has the records %v", h.Name, h.PAXRecords)
		}
		entries[h.Name] = tar.Header{
			Typeflag: h.Typeflag, Name: h.Name, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, Size: h.Size, Linkname: h.Linkname,
			Devmajor: h.Devmajor, Devminor: h.Devminor,
		}
	}
}

func diffOf(t testing.TB, d drivers.Driver, id, parent string) *bytes.Buffer {
	t.Helper()
	var diff bytes.Buffer
	must(t, drivers.Diff(t.Context(), d, id, parent, &diff))
	return &diff
}

func apply(t testing.TB, d drivers.Driver, id string, diff io.Reader) {
	t.Helper()
	_, err := drivers.Apply(t.Context(), d, id, tar.NewReader(diff), archive.UnpackOptions{})
	must(t, err)
}

func TestForcedFilesHaveOneModeAndDiffsTheTrueOnes(t *testing.T) {
	want := shown(t, packed(t, odd()))
	// The first of the two names is the file.
	want["dir/link"] = tar.Header{Typeflag: tar.TypeReg, Name: "dir/link", Mode: 0o4711, Uid: 13, Gid: 14, Size: 5}
	want["dir/setuid"] = tar.Header{Typeflag: tar.TypeLink, Name: "dir/setuid", Mode: 0o4711, Uid: 13, Gid: 14, Linkname: "dir/link"}
	want["parent/"] = tar.Header{Typeflag: tar.TypeDir, Name: "parent/", Mode: 0o755}
	compare := func(t *testing.T, d drivers.Driver, id, parent string) {
		t.Helper()
		if diff := cmp.Diff(want, shown(t, diffOf(t, d, id, parent))); diff != "" {
			t.Errorf("%s: want (-), got (+):\n%s", id, diff)
		}
	}
	for option, mode := range map[string]uint32{"shared": 0o755, "private": 0o700, "0750": 0o750} {
		t.Run(option, func(t *testing.T) {
			home := newHome(t)
			driver := openIn(t, overlay.Open, home, "overlay.force_mask="+option)
			chain(t, driver, "base")
			apply(t, driver, "base", packed(t, odd()))
			onDisk(t, filepath.Join(home, "base", "diff"), mode)
			compare(t, driver, "base", "")
			for _, id := range []string{"empty", "more"} {
				must(t, driver.Create(t.Context(), id, "base", drivers.CreateOptions{}))
			}
			// A directory on the way is like the one that it hides.
			apply(t, driver, "more", packed(t, []*tar.Header{{Typeflag: tar.TypeReg, Name: "dir/more", Mode: 0o600}}))
			onDisk(t, filepath.Join(home, "more", "diff"), mode)
			if dir := shown(t, diffOf(t, driver, "more", "base"))["dir/"]; dir.Mode != 0o1777 || dir.Uid != 11 || dir.Gid != 12 {
				t.Errorf("directory is %+v", dir)
			}
			for parent, count := range map[string]int{"base": 2, "empty": 2} {
				changes, err := drivers.Changes(t.Context(), driver, "more", parent)
				if err != nil || len(changes) != count {
					t.Errorf("changes from %s are %v, %v", parent, changes, err)
				}
			}
			// Also when the option has gone.
			must(t, driver.Create(t.Context(), "other", "", drivers.CreateOptions{}))
			again := openIn(t, overlay.Open, home)
			compare(t, again, "base", "")
			compare(t, again, "base", "other") // which is found by comparing
		})
	}
}

// onDisk checks that files have one mode and one owner.
func onDisk(t testing.TB, dir string, mode uint32) {
	t.Helper()
	for name, entry := range testutil.Snapshot(t, dir) {
		if entry.UID != 0 || entry.GID != 0 || entry.Type != "symlink" && entry.Mode != mode {
			t.Errorf("%s is %v on disk", name, entry)
		}
		if entry.Type != "file" && entry.Type != "dir" && entry.Type != "symlink" {
			t.Errorf("%s is a %s", name, entry.Type)
		}
	}
}

// An archive has no say in what a file is said to be.
func TestArchivesDoNotOverrideForcedModes(t *testing.T) {
	driver := openIn(t, overlay.Open, newHome(t), "overlay.force_mask=shared")
	chain(t, driver, "base")
	apply(t, driver, "base", packed(t, []*tar.Header{{
		Typeflag: tar.TypeReg, Name: "file", Mode: 0o600, Uid: 7,
		PAXRecords: map[string]string{"SCHILY.xattr." + archive.OverrideAttr: "0:0:4755:file"},
	}}))
	if file := shown(t, diffOf(t, driver, "base", ""))["file"]; file.Mode != 0o600 || file.Uid != 7 {
		t.Errorf("file is %+v", file)
	}
}

func TestMarkedHomesDoNotStumbleOverBadOverrides(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home, "overlay.force_mask=shared")
	chain(t, driver, "base")
	file := filepath.Join(home, "base", "diff", "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for value, want := range map[string]error{
		"1:2:0644": nil, "1:2:100644:file": nil, "0:0:0666:char-1-3-5": nil, "0:0:0600:socket": nil,
		"": model.ErrCorrupt, "1:2": model.ErrCorrupt, "a:b:c": model.ErrCorrupt, "-1:0:0644": model.ErrCorrupt, "0:0:0999": model.ErrCorrupt,
		"0:0:0644:unicorn": model.ErrCorrupt, "0:0:0644:char-1": model.ErrCorrupt, "0:0:0644:char-99999-1": model.ErrCorrupt, "4294967296:0:0644": model.ErrCorrupt,
	} {
		must(t, unix.Setxattr(file, archive.OverrideAttr, []byte(value), 0))
		err := drivers.Diff(t.Context(), driver, "base", "", io.Discard)
		if !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", value, err, want)
		}
	}
}

func TestForcedLayersAreNotMountedForWritingByTheKernel(t *testing.T) {
	home := newHome(t)
	before := openIn(t, overlay.Open, home)
	chain(t, before, "old")
	driver := openIn(t, overlay.Open, home, "overlay.force_mask=shared")
	mount(t, before, "old")
	must(t, before.Unmount(t.Context(), "old"))
	chain(t, driver, "base", "top")
	_, err := before.Mount(t.Context(), "top", drivers.MountOptions{})
	wantErr(t, err, model.ErrUnsupported)
	_, err = driver.Mount(t.Context(), "top", drivers.MountOptions{})
	wantErr(t, err, model.ErrUnsupported)
	if err == nil || !strings.Contains(err.Error(), "mount_program") {
		t.Errorf("%v does not say what helps", err)
	}
	mount(t, driver, "top", "ro")
	must(t, driver.Unmount(t.Context(), "top"))
	// The files stay what they are.
	_, err = openIn(t, overlay.Open, home).Mount(t.Context(), "top", drivers.MountOptions{})
	wantErr(t, err, model.ErrUnsupported)
}

func TestMountProgramShowsWhatForcedFilesShouldBe(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home, "overlay.mount_program="+fuseOverlayfs(t), "overlay.force_mask=private")
	chain(t, driver, "base", "top")
	apply(t, driver, "base", packed(t, odd()[:2]))
	onDisk(t, filepath.Join(home, "base", "diff"), 0o700)
	root := mount(t, driver, "top")
	want := testutil.Listing{"dir": {Type: "dir", Mode: 0o1777, UID: 11, GID: 12}, "dir/setuid": {Type: "file", Mode: 0o4711, UID: 13, GID: 14}}
	got := testutil.Snapshot(t, root)
	for name, entry := range want {
		if have := got[name]; have.Type != entry.Type || have.Mode != entry.Mode || have.UID != entry.UID || have.GID != entry.GID {
			t.Errorf("%s is %v, want %v", name, have, entry)
		}
	}
	must(t, os.WriteFile(root+"/new", nil, 0o600))
	must(t, os.Chmod(root+"/new", 0o750)) // fuse-overlayfs 1.10 forgets the owner with it
	must(t, os.Chown(root+"/new", 21, 22))
	must(t, driver.Unmount(t.Context(), "top"))
	if entry := testutil.Snapshot(t, filepath.Join(home, "top", "diff"))["new"]; entry.UID != 0 || entry.GID != 0 {
		t.Errorf("the owner is %d:%d on disk", entry.UID, entry.GID)
	}
	entry := shown(t, diffOf(t, driver, "top", "base"))["new"]
	if entry.Uid != 21 || entry.Gid != 22 || entry.Mode != 0o750 {
		t.Errorf("diff has %+v", entry)
	}
}

func TestForceMaskHasToBeAMode(t *testing.T) {
	home := newHome(t)
	for _, value := range []string{"rwx", "-rwxr-xr-x", "0800", "10000", "-1", "SHARED"} {
		_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: []string{"overlay.force_mask=" + value}})
		wantErr(t, err, model.ErrInvalid)
	}
	var stat unix.Stat_t
	wantErr(t, unix.Stat(home, &stat), unix.ENOENT)
}

// What counts is what files should be, however that is said.
func TestForcedLayersDoNotDifferFromOthersWithTheSameFiles(t *testing.T) {
	home := newHome(t)
	plain := openIn(t, overlay.Open, home)
	chain(t, plain, "plain")
	apply(t, plain, "plain", packed(t, odd()))
	forced := openIn(t, overlay.Open, home, "overlay.force_mask=private")
	must(t, forced.Create(t.Context(), "forced", "", drivers.CreateOptions{}))
	apply(t, forced, "forced", packed(t, odd()))
	for _, pair := range [][2]string{{"plain", "forced"}, {"forced", "plain"}} {
		changes, err := drivers.Changes(t.Context(), forced, pair[0], pair[1])
		must(t, err)
		for _, change := range changes {
			if change.Path != "/parent" { // made on the way, each at its time
				t.Errorf("%v: %v", pair, change)
			}
		}
	}
}
