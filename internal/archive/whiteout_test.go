package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// mountOverlay mounts an overlay until the end of the test, or until the
// returned function is called, and returns where. The directories must have
// short names without colons.
func mountOverlay(t testing.TB, lowers []string, upper string) (merged string, unmount func()) {
	t.Helper()
	work := mkdirNew(t, filepath.Dir(upper))
	merged = mkdirNew(t, filepath.Dir(upper))
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lowers, ":"), upper, work)
	switch err := unix.Mount("overlay", merged, "overlay", 0, data); {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EPERM):
		testutil.Missing(t, "overlay mounts: %v", err)
	case err != nil:
		t.Fatalf("mount %s: %v", data, err)
	}
	mounted := true
	unmount = func() {
		if !mounted {
			return
		}
		mounted = false
		if err := unix.Unmount(merged, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	}
	t.Cleanup(unmount)
	return merged, unmount
}

// copyTree copies a tree with everything that belongs to it.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	mkdir(t, to)
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}

// bothForms unpacks base below an archive in both ways, as a container
// would see the results: changed in place, and as an overlay.
func bothForms(t testing.TB, base, changes []entry) (applied, overlay testutil.Listing) {
	t.Helper()
	testutil.NeedRoot(t)
	top := testutil.SharedLoop(t, "ext4")
	lower, upper, tree := top+"/lower", top+"/upper", top+"/tree"
	mkdir(t, lower, upper)
	unpack(t, lower, archive.UnpackOptions{}, base...)
	copyTree(t, lower, tree)

	unpack(t, tree, archive.UnpackOptions{}, changes...)
	opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: []string{lower}}
	unpack(t, upper, opts, changes...)
	merged, unmount := mountOverlay(t, []string{lower}, upper)
	defer unmount()
	return testutil.Snapshot(t, tree), testutil.Snapshot(t, merged)
}

func TestWhiteoutsHideWhatWasThereBefore(t *testing.T) {
	base := []entry{
		dir("d"), file("d/a", "old"), file("d/b", "old"), dir("d/sub"), file("d/sub/c", "old"),
		dir("d/owned").owner(1, 2).mode(0o700).xattr("user.old", "x"), file("d/owned/f", "old"),
		file("f", "old"), symlink("link", "d"), dir("empty"),
	}
	all := []string{"d", "d/a", "d/b", "d/owned", "d/owned/f", "d/sub", "d/sub/c", "empty", "f", "link"}
	without := func(gone ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
			return slices.ContainsFunc(gone, func(g string) bool { return name == g || strings.HasPrefix(name, g+"/") })
		})
	}
	and := func(names []string, more ...string) []string {
		names = append(names, more...)
		slices.Sort(names)
		return slices.Compact(names)
	}
	tests := []struct {
		name    string
		changes []entry
		want    []string
	}{
		{"file", []entry{whiteout(".wh.f")}, without("f")},
		{"tree", []entry{whiteout(".wh.d")}, without("d")},
		{"link", []entry{whiteout(".wh.link")}, without("link")},
		{"of nothing", []entry{whiteout(".wh.none")}, all},
		{"below a file", []entry{file("f", "new"), whiteout("f/.wh.x"), whiteout("f/.wh..wh..opq")}, all},
		{"below what is missing", []entry{whiteout("new/dir/.wh.x")}, and(without(), "new", "new/dir")},
		{"below what is opaque", []entry{dir("d"), whiteout("d/.wh..wh..opq"), dir("d/sub"), whiteout("d/.wh.a"), whiteout("d/sub/.wh.c")}, and(without("d"), "d", "d/sub")},
		{"below what was hidden", []entry{whiteout(".wh.d"), whiteout("d/.wh.a"), whiteout("d/sub/.wh.c")}, and(without("d"), "d", "d/sub")},
		{"twice", []entry{whiteout(".wh.d"), whiteout(".wh.d")}, without("d")},
		{"nested", []entry{dir("d"), whiteout("d/.wh.sub")}, without("d/sub")},
		{"with content", []entry{file(".wh.f", "content")}, without("f")},
		{"of another type", []entry{dir(".wh.d")}, without("d")},
		{"device 0/0", []entry{device(tar.TypeChar, "d", 0, 0)}, without("d")},
		{"opaque", []entry{dir("d"), whiteout("d/.wh..wh..opq")}, and(without("d"), "d")},
		{"opaque, missing", []entry{whiteout("new/.wh..wh..opq")}, and(without(), "new")},
		{"opaque root", []entry{whiteout(".wh..wh..opq")}, nil},
		{"opaque root, and more", []entry{dir("d"), file("d/a", "new"), whiteout(".wh..wh..opq"), file("f", "new")}, []string{"d", "d/a", "f"}},
		{"opaque root, then more", []entry{whiteout(".wh..wh..opq"), dir("d"), file("d/n", "new")}, []string{"d", "d/n"}},

		{"whiteout, then file", []entry{whiteout(".wh.f"), file("f", "new")}, all},
		{"file, then whiteout", []entry{file("f", "new"), whiteout(".wh.f")}, all},
		{"whiteout, then directory", []entry{whiteout(".wh.d"), dir("d"), file("d/n", "new")}, and(without("d"), "d", "d/n")},
		{"directory, then whiteout", []entry{dir("d"), file("d/n", "new"), whiteout(".wh.d")}, and(without("d"), "d", "d/n")},
		{"whiteout, then file below", []entry{whiteout(".wh.d"), file("d/n", "new")}, and(without("d"), "d", "d/n")},
		{"file below, then whiteout", []entry{file("d/sub/n", "new"), whiteout(".wh.d")}, and(without("d"), "d", "d/sub", "d/sub/n")},
		{"directory with old entry, then whiteout", []entry{dir("d"), file("d/a", "new"), whiteout(".wh.d")}, and(without("d"), "d", "d/a")},
		{"opaque after entries", []entry{dir("d"), file("d/a", "new"), file("d/sub/n", "new"), whiteout("d/.wh..wh..opq")}, and(without("d"), "d", "d/a", "d/sub", "d/sub/n")},
		{"opaque before entries", []entry{dir("d"), whiteout("d/.wh..wh..opq"), file("d/a", "new"), file("d/sub/n", "new")}, and(without("d"), "d", "d/a", "d/sub", "d/sub/n")},
		{"hidden below, then hidden", []entry{dir("x"), whiteout("d/.wh.a"), whiteout(".wh.d")}, and(without("d"), "x")},
		{"whiteout of a link that entries lead through", []entry{dir("d"), symlink("way", "d"), file("way/n", "new"), whiteout("d/.wh..wh..opq")}, and(without("d"), "d", "d/n", "way")},
		{"directory replaced twice", []entry{dir("d"), file("d", "new"), dir("d")}, and(without("d"), "d")},
		{"file replaced by directory", []entry{whiteout(".wh.d"), file("d", "new"), whiteout(".wh.d"), dir("d")}, and(without("d"), "d")},

		{"hard links of AUFS", []entry{
			dir(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", "linked"), hardLink("n", ".wh..wh.plnk/1.2"),
		}, and(without(), ".wh..wh.plnk", ".wh..wh.plnk/1.2", "n")},
		{"other files of AUFS", []entry{
			file(".wh..wh.aufs", ""), dir(".wh..wh.orph"), file(".wh..wh.orph/x", ""), file("d/.wh..wh.xyz", ""), file(".wh..wh.", ""),
		}, all},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			applied, overlay := bothForms(t, base, tt.changes)
			if diff := cmp.Diff(tt.want, namesOf(applied)); diff != "" {
				t.Errorf("applied (-want +got): %s", diff)
			}
			if diff := cmp.Diff(withoutDirTimes(applied), withoutDirTimes(overlay)); diff != "" {
				t.Errorf("-applied +overlay: %s", diff)
			}
			for name, e := range applied {
				if e.Type != "file" {
					continue
				}
				content, isNew := newContent(tt.changes, name)
				if isNew && e.Size != int64(len(content)) {
					t.Errorf("%s has %d bytes, want %q", name, e.Size, content)
				}
			}
		})
	}
}

// TestAttributesOfDirectoriesWithoutEntry: a directory that is only needed by
// an entry keeps its attributes, unless it is hidden. Then it is a new one.
func TestAttributesOfDirectoriesWithoutEntry(t *testing.T) {
	special := testutil.Entry{Type: "dir", Mode: 0o1700, UID: 1, GID: 2, ModTime: past, Xattrs: map[string]string{"user.old": "x"}}
	fresh := testutil.Entry{Type: "dir", Mode: 0o755, ModTime: past}
	base := []entry{
		dir("d").owner(1, 2).mode(0o1700).xattr("user.old", "x"), file("d/f", "old"),
		dir("d/sub").owner(1, 2).mode(0o1700).xattr("user.old", "x"), file("d/sub/f", "old"),
	}
	tests := []struct {
		name    string
		changes []entry
		d, sub  testutil.Entry
	}{
		{"not hidden", []entry{file("d/sub/n", "new")}, special, special},
		{"content hidden", []entry{file("d/sub/n", "new"), whiteout("d/.wh..wh..opq")}, special, fresh},
		{"content hidden before", []entry{whiteout("d/.wh..wh..opq"), file("d/sub/n", "new")}, special, fresh},
		{"hidden", []entry{file("d/sub/n", "new"), whiteout(".wh.d")}, fresh, fresh},
		{"hidden before", []entry{whiteout(".wh.d"), file("d/sub/n", "new")}, fresh, fresh},
		{"part hidden", []entry{file("d/sub/n", "new"), whiteout("d/.wh.sub")}, special, fresh},
		{"entry in between", []entry{file("d/sub/n", "new"), dir("d"), whiteout(".wh.d")}, fresh, fresh},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			applied, overlay := bothForms(t, base, tt.changes)
			for form, got := range map[string]testutil.Listing{"applied": withoutDirTimes(applied), "overlay": withoutDirTimes(overlay)} {
				if diff := cmp.Diff(tt.d, got["d"]); diff != "" {
					t.Errorf("%s, d: %s", form, diff)
				}
				if diff := cmp.Diff(tt.sub, got["d/sub"]); diff != "" {
					t.Errorf("%s, d/sub: %s", form, diff)
				}
			}
		})
	}
}

// TestWhiteoutsAtAnyDepth hides a file below more directories than are kept
// open.
func TestWhiteoutsAtAnyDepth(t *testing.T) {
	deep := strings.Repeat("d/", 40)
	applied, overlay := bothForms(t, []entry{file(deep+"gone", ""), file(deep+"kept", "")}, []entry{whiteout(deep + ".wh.gone")})
	for _, got := range []testutil.Listing{applied, overlay} {
		if _, kept := got[deep+"kept"]; !kept || len(got) != 42 {
			t.Errorf("got %q", namesOf(got))
		}
	}
}

// newContent returns the last content that an archive has for a file.
func newContent(entries []entry, name string) (content string, found bool) {
	for _, e := range entries {
		if e.Name == name && e.Typeflag == tar.TypeReg {
			content, found = e.content, true
		}
	}
	return content, found
}

func namesOf(l testutil.Listing) []string {
	var names []string
	for name := range l {
		if name != "." {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// withoutDirTimes returns a listing without the times of directories, which
// are not those of the archive where it has no entry for them, and without
// what an overlay does not show.
func withoutDirTimes(l testutil.Listing) testutil.Listing {
	result := make(testutil.Listing)
	for name, e := range l {
		if e.Type == "dir" {
			e.ModTime = past
		}
		result[name] = e
	}
	return result
}

// TestBothFormsAgree unpacks random archives onto random trees.
func TestBothFormsAgree(t *testing.T) {
	testutil.NeedRoot(t)
	// What has entries below it is always a directory: that a file of a lower
	// layer is in the way of an entry is seen only where the layers are one.
	dirs := rapid.SampledFrom([]string{"d", "e", "d/g", "e/g", "d/g/h"})
	leaves := rapid.SampledFrom([]string{"f", "d/f", "d/x", "e/f", "d/g/f", "d/g/x", "e/g/f", "d/g/h/f"})
	plain := rapid.Custom(func(rt *rapid.T) entry {
		if rapid.IntRange(0, 2).Draw(rt, "is directory") == 0 {
			return dir(dirs.Draw(rt, "name")).mode(rapid.Int64Range(0o700, 0o703).Draw(rt, "mode"))
		}
		name := leaves.Draw(rt, "name")
		kind := rapid.SampledFrom([]func() entry{
			func() entry { return dir(name).xattr("user.x", "y") },
			func() entry { return symlink(name, "d") },
			func() entry { return fifo(name) },
			func() entry { return file(name, "") },
			func() entry { return file(name, "content").owner(1, 2) },
		})
		return kind.Draw(rt, "kind")()
	})
	changed := rapid.Custom(func(rt *rapid.T) entry {
		switch rapid.IntRange(0, 3).Draw(rt, "kind") {
		case 0:
			parent, name := filepath.Split(rapid.OneOf(dirs, leaves).Draw(rt, "hidden"))
			return whiteout(parent + ".wh." + name)
		case 1:
			return whiteout(rapid.OneOf(dirs, rapid.Just(".")).Draw(rt, "opaque") + "/.wh..wh..opq")
		}
		return plain.Draw(rt, "entry")
	})
	rapid.Check(t, func(rt *rapid.T) {
		base := rapid.SliceOfN(plain, 0, 10).Draw(rt, "base")
		changes := rapid.SliceOfN(changed, 1, 10).Draw(rt, "changes")
		applied, overlay := bothForms(t, base, changes)
		if diff := cmp.Diff(withoutDirTimes(applied), withoutDirTimes(overlay)); diff != "" {
			rt.Fatalf("-applied +overlay: %s", diff)
		}
	})
}

// TestUnpackOntoAnUpperDirectory applies a second archive to an upper
// directory that has content already.
func TestUnpackOntoAnUpperDirectory(t *testing.T) {
	testutil.NeedRoot(t)
	top := testutil.SharedLoop(t, "xfs")
	lower, upper := top+"/lower", top+"/upper"
	mkdir(t, lower, upper)
	unpack(t, lower, archive.UnpackOptions{}, dir("d"), file("d/low", "low"), file("f", "low"))
	opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: []string{lower}}
	unpack(t, upper, opts, dir("d"), file("d/first", "1"), whiteout(".wh.f"), whiteout("d/.wh.low"))
	unpack(t, upper, opts, whiteout(".wh.d"), file("f/below", "2"), file("d/second", "2"))
	merged, unmount := mountOverlay(t, []string{lower}, upper)
	defer unmount()
	if diff := cmp.Diff([]string{"d", "d/second", "f", "f/below"}, names(t, merged)); diff != "" {
		t.Error(diff)
	}
}

func TestUnpackLinksToNoWhiteout(t *testing.T) {
	testutil.NeedRoot(t)
	lower, upper := t.TempDir(), t.TempDir()
	write(t, lower+"/f", "")
	stream := makeTar(t, whiteout(".wh.f"), hardLink("h", "f"))
	opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: []string{lower}}
	_, err := archive.Unpack(t.Context(), upper, tar.NewReader(bytes.NewReader(stream)), opts)
	if !errors.Is(err, model.ErrInvalid) {
		t.Errorf("got %v, want %v", err, model.ErrInvalid)
	}
	if diff := cmp.Diff([]string{"f"}, names(t, upper)); diff != "" {
		t.Error(diff)
	}
}

func TestUserOverlayHasAttributesOfItsOwn(t *testing.T) {
	upper := t.TempDir()
	opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlayUser}
	unpack(t, upper, opts, whiteout("d/.wh..wh..opq"))
	if got := testutil.Snapshot(t, upper)["d"].Xattrs; !cmp.Equal(got, map[string]string{"user.overlay.opaque": "y"}) {
		t.Errorf("opaque directory has %v", got)
	}
	lower := t.TempDir()
	mkdir(t, lower+"/d")
	stream := pack(t, upper, archive.PackOptions{Whiteouts: archive.WhiteoutsOverlayUser, Lowers: []string{lower}})
	if diff := cmp.Diff([]string{"d/", "d/.wh..wh..opq"}, entriesOf(t, stream)); diff != "" {
		t.Error(diff)
	}
}
