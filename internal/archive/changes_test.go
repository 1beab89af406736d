package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// lines returns changes as the compatible command writes them, but unquoted.
func lines(changes []model.Change) []string {
	var all []string
	for _, c := range changes {
		all = append(all, c.Kind.String()+" "+c.Path)
	}
	return all
}

func changesOf(t testing.TB, oldDir, newDir string) []model.Change {
	t.Helper()
	changes, err := archive.Changes(t.Context(), oldDir, newDir, archive.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// shell runs commands in a directory.
func shell(t testing.TB, dir, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

func wantSorted(t testing.TB, changes []model.Change) {
	t.Helper()
	if !slices.IsSortedFunc(changes, func(a, b model.Change) int { return strings.Compare(a.Path, b.Path) }) {
		t.Errorf("changes are not sorted: %q", lines(changes))
	}
}

func overlayChangesOf(t testing.TB, upper string, lowers []string) []model.Change {
	t.Helper()
	changes, err := archive.OverlayChanges(t.Context(), upper, lowers, archive.WhiteoutsOverlay, archive.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestChangesSeesWhatALayerSays(t *testing.T) {
	testutil.NeedRoot(t)
	tests := []struct {
		name, script string
		want         []string
	}{
		{"nothing", ``, nil},
		{"content of the same size", `printf new >f`, []string{"Modify /f"}},
		{"content, as if at the same time", `printf new >f; touch -d @1000000000.5 f`, nil},
		{"size, as if at the same time", `printf newer >f; touch -d @1000000000.5 f`, []string{"Modify /f"}},
		{"nanosecond", `touch -d @1000000000.500000001 f`, []string{"Modify /f"}},
		{"lost fraction of a second", `touch -d @1000000000 f`, nil},
		{"time of a directory", `touch -d @1000000001 d`, []string{"Modify /d"}},
		{"access time", `touch -a f d`, nil},
		{"mode", `chmod 600 f`, []string{"Modify /f"}},
		{"set-id bit", `chmod u+s f; chmod +t d`, []string{"Modify /d", "Modify /f"}},
		{"owner", `chown 5 f`, []string{"Modify /f"}},
		{"group", `chgrp 5 d`, []string{"Modify /d"}},
		{"attribute", `setfattr -n user.x -v y f`, []string{"Modify /f"}},
		{"attribute of a directory", `setfattr -n user.x -v y d`, []string{"Modify /d"}},
		{"value of an attribute", `setfattr -n user.there -v other f`, []string{"Modify /f"}},
		{"lost attribute", `setfattr -x user.there f`, []string{"Modify /f"}},
		{"attribute that is not part of a layer", `setfattr -n trusted.x -v y f; setfattr -n user.overlay.x -v y f`, nil},
		{"capability", `setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 f`, []string{"Modify /f"}},
		{"target of a link", `ln -snf xyz l; touch -h -d @1000000000.5 l`, []string{"Modify /l"}},
		{"device number", `rm dev; mknod dev c 1 5; touch -d @1000000000.5 dev`, []string{"Modify /dev"}},
		{"type", `rm f; mkdir f; touch f/x`, []string{"Add /f/x", "Modify /f"}},
		{"type of a directory", `rm -r d; ln -s x d`, []string{"Modify /d"}},
		{"deletion in a directory", `rm d/a`, []string{"Delete /d/a"}},
		{"deletion of a tree", `rm -r d`, []string{"Delete /d"}},
		{"addition to a directory", `touch d/n`, []string{"Add /d/n", "Modify /d"}},
		{"addition and deletion", `rm d/a; touch d/n`, []string{"Add /d/n", "Delete /d/a", "Modify /d"}},
		{"addition further down", `touch d/sub/n`, []string{"Add /d/sub/n", "Modify /d/sub"}},
		{"modification in a directory", `printf new >d/a`, []string{"Modify /d/a"}},
		{"replacement in a directory", `printf new >d/.new; mv d/.new d/a`, []string{"Modify /d", "Modify /d/a"}},
		{"deletion and mode", `rm d/a; chmod 700 d`, []string{"Delete /d/a", "Modify /d"}},
		{"hard link", `ln f d/n`, []string{"Add /d/n", "Modify /d"}},
		{"names in order", `mkdir a; touch a/b a-b a.b`, []string{"Add /a", "Add /a-b", "Add /a.b", "Add /a/b"}},
	}
	top := testutil.SharedLoop(t, "ext4")
	oldDir := top + "/old"
	mkdir(t, oldDir)
	shell(t, oldDir, `printf old >f; setfattr -n user.there -v yes f; ln -s abc l; mknod dev c 1 3; mkdir -p d/sub; touch d/a d/sub/b
		find . -exec touch -h -d @1000000000.5 {} +`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newDir := mkdirNew(t, top)
			copyTree(t, oldDir, newDir)
			shell(t, newDir, tt.script)
			changes := changesOf(t, oldDir, newDir)
			wantSorted(t, changes)
			if diff := cmp.Diff(tt.want, sorted(lines(changes))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestChangesWithoutAnOlderTreeAreAdditions(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	testutil.OddTree(t, layer)
	var want []string
	for _, name := range sorted(names(t, layer)) {
		want = append(want, "Add /"+name)
	}
	if diff := cmp.Diff(want, lines(changesOf(t, "", layer))); diff != "" {
		t.Error(diff)
	}
	empty := t.TempDir()
	if diff := cmp.Diff(changesOf(t, "", layer), changesOf(t, empty, layer)); diff != "" {
		t.Error(diff)
	}
}

func TestChangesPassesOverWhatIsTheSameInode(t *testing.T) {
	parent := t.TempDir()
	oldDir, newDir := parent+"/old", parent+"/new"
	mkdir(t, oldDir, newDir)
	write(t, oldDir+"/f", "x")
	if err := os.Link(oldDir+"/f", newDir+"/f"); err != nil {
		t.Fatal(err)
	}
	if got := changesOf(t, oldDir, newDir); got != nil {
		t.Errorf("got %q", lines(got))
	}
	if got := changesOf(t, oldDir, oldDir); got != nil {
		t.Errorf("a tree differs from itself: %q", lines(got))
	}
}

func TestChangesFollowsNoLinksAndOpensNothing(t *testing.T) {
	parent := t.TempDir()
	oldDir, newDir := parent+"/old", parent+"/new"
	mkdir(t, oldDir, newDir, parent+"/canary/sub")
	for i, dir := range []string{oldDir, newDir} {
		if err := errors.Join(os.Symlink("../canary", dir+"/l"), unix.Mkfifo(dir+"/p", 0o600), os.Mkdir(dir+"/"+fmt.Sprint(i), 0o755)); err != nil {
			t.Fatal(err)
		}
		when := []unix.Timespec{{}, {}}
		for _, name := range []string{"l", "p"} {
			if err := unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/"+name, when, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{"Delete /0", "Add /1"}, lines(changesOf(t, oldDir, newDir))); diff != "" {
		t.Error(diff)
	}
}

func TestChangesHonoursTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	mkdir(t, dir+"/d")
	_, err1 := archive.Changes(ctx, "", dir, archive.CompareOptions{})
	_, err2 := archive.Changes(ctx, t.TempDir(), dir, archive.CompareOptions{})
	_, err3 := archive.OverlayChanges(ctx, dir, nil, archive.WhiteoutsOverlay, archive.CompareOptions{})
	_, err4 := archive.TreeSize(ctx, dir)
	for _, err := range []error{err1, err2, err3, err4} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
}

// TestNativeChangesAreThoseOfTheMount changes a random tree through a real
// overlay at random, and compares with what the overlay shows. The archives of
// the changes, unpacked onto the older tree, make the newer one.
func TestNativeChangesAreThoseOfTheMount(t *testing.T) {
	testutil.NeedRoot(t)
	name := rapid.SampledFrom([]string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/b", "d-", "d/e/d/a"})
	operations := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) operation {
		what := rapid.SampledFrom([]string{"write", "write", "mkdir", "mkdir", "remove", "symlink", "link", "chmod", "rename", "setxattr"})
		return operation{what.Draw(rt, "what"), name.Draw(rt, "name"), name.Draw(rt, "other")}
	}), 0, 12)
	rapid.Check(t, func(rt *rapid.T) {
		top := testutil.SharedLoop(t, "xfs")
		lowers := []string{top + "/l2", top + "/l1"}
		mkdir(t, top+"/l1", top+"/l2", top+"/upper", top+"/scratch")
		for _, operation := range operations.Draw(rt, "first layer") {
			operation.run(lowers[1])
		}
		second, unmount := mountOverlay(t, lowers[1:], lowers[0])
		for _, operation := range operations.Draw(rt, "second layer") {
			operation.run(second)
		}
		unmount()
		below, unmountBelow := mountOverlay(t, lowers, top+"/scratch")
		defer unmountBelow()
		merged, unmountMerged := mountOverlay(t, lowers, top+"/upper")
		defer unmountMerged()
		for _, operation := range operations.Draw(rt, "upper layer") {
			operation.run(merged)
		}
		naive := changesOf(t, below, merged)
		native := overlayChangesOf(t, top+"/upper", lowers)
		if diff := cmp.Diff(lines(naive), lines(native)); diff != "" {
			rt.Fatalf("-compared +native: %s", diff)
		}
		want := withoutDirTimes(testutil.Snapshot(t, merged))
		for what, stream := range map[string][]byte{
			"changes": packChanges(t, merged, naive),
			"upper":   pack(t, top+"/upper", archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: lowers}),
		} {
			tree := mkdirNew(t, top)
			copyTree(t, below, tree)
			unpackStream(t, tree, stream)
			got := withoutDirTimes(testutil.Snapshot(t, tree))
			want["."] = got["."] // is not part of archives
			if diff := cmp.Diff(withoutLinks(want), withoutLinks(got)); diff != "" {
				rt.Fatalf("archive of the %s: %s", what, diff)
			}
		}
	})
}

// operation is a change to a file of a tree.
type operation struct{ what, name, other string }

// run carries the operation out if that is possible.
func (o operation) run(root string) {
	path, other := filepath.Join(root, o.name), filepath.Join(root, o.other)
	switch o.what {
	case "write":
		if os.WriteFile(path, []byte(o.other), 0o644) == nil {
			// The clock of the kernel may stand still for some milliseconds, in
			// which a replacement of the same size cannot be told.
			now := time.Unix(1e9+serial.Add(1), 0)
			_ = os.Chtimes(path, now, now)
		}
	case "mkdir":
		_ = os.MkdirAll(path, 0o755)
	case "remove":
		_ = os.RemoveAll(path)
	case "symlink":
		_ = os.Symlink(o.other, path)
	case "link":
		_ = os.Link(other, path)
	case "chmod":
		_ = os.Chmod(path, 0o700)
	case "rename":
		_ = os.Rename(path, other)
	case "setxattr":
		_ = unix.Setxattr(path, "user.x", []byte(o.other), 0)
	}
}

// withoutLinks returns a listing that does not tell which files are the same:
// a new name of an unchanged file becomes a file of its own in the archive.
func withoutLinks(l testutil.Listing) testutil.Listing {
	result := make(testutil.Listing)
	for name, e := range l {
		e.Link = ""
		result[name] = e
	}
	return result
}

func TestOverlayChangesSeesHiddenEntries(t *testing.T) {
	testutil.NeedRoot(t)
	top := testutil.SharedLoop(t, "ext4")
	near, far, upper := top+"/near", top+"/far", top+"/upper"
	mkdir(t, near, far, upper)
	unpack(t, far, archive.UnpackOptions{}, dir("d"), file("d/far", ""), dir("hidden"), file("hidden/x", ""), dir("opaque"), file("opaque/far", ""))
	opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: []string{far}}
	unpack(t, near, opts, dir("d"), file("d/near", ""), whiteout(".wh.hidden"), dir("opaque"), whiteout("opaque/.wh..wh..opq"), file("opaque/near", ""))
	lowers := []string{near, far}
	opts.Lowers = lowers
	unpack(t, upper, opts,
		dir("d"), whiteout("d/.wh..wh..opq"), file("d/near", "same time, other size"), dir("hidden"), file("hidden/n", ""),
		dir("opaque"), whiteout("opaque/.wh..wh..opq"))
	want := []string{"Add /hidden", "Add /hidden/n", "Delete /d/far", "Delete /opaque/near", "Modify /d/near"}
	if diff := cmp.Diff(want, sorted(lines(overlayChangesOf(t, upper, lowers)))); diff != "" {
		t.Error(diff)
	}
	stream := pack(t, upper, archive.PackOptions{Whiteouts: archive.WhiteoutsOverlay, Lowers: lowers})
	wantEntries := []string{"d/", "d/.wh..wh..opq", "d/near", "hidden/", "hidden/n", "opaque/", "opaque/.wh..wh..opq"}
	if diff := cmp.Diff(wantEntries, entriesOf(t, stream)); diff != "" {
		t.Error(diff)
	}
}

func TestOverlayChangesOfUpperDirectoriesMadeByHand(t *testing.T) {
	testutil.NeedRoot(t)
	lower, upper := t.TempDir(), t.TempDir()
	shell(t, lower, `mkdir -p d/e; touch d/e/f d/g`)
	shell(t, upper, `mkdir -p d/e new; touch new/f; mknod new/whiteout c 0 0; mknod none c 0 0; setfattr -n trusted.overlay.opaque -v y d
		touch -r `+lower+`/d/e d/e; touch -r `+lower+`/d d`)
	// What is below an opaque directory is hidden, at any depth; whiteouts of
	// nothing say nothing.
	want := []string{"Add /new", "Add /new/f", "Delete /d/e/f", "Delete /d/g"}
	if diff := cmp.Diff(want, sorted(lines(overlayChangesOf(t, upper, []string{lower})))); diff != "" {
		t.Error(diff)
	}
}

func TestTreeSizeCountsEachFileOnce(t *testing.T) {
	layer := t.TempDir()
	write(t, layer+"/a", "12345")
	mkdir(t, layer+"/d")
	write(t, layer+"/d/b", "123")
	if err := errors.Join(os.Link(layer+"/a", layer+"/d/again"), os.Symlink("a", layer+"/l"), os.Truncate(layer+"/d/b", 1000),
		unix.Mkfifo(layer+"/p", 0o600)); err != nil {
		t.Fatal(err)
	}
	if size, err := archive.TreeSize(t.Context(), layer); err != nil || size != 1005 {
		t.Errorf("got %d, %v; want 1005", size, err)
	}
	if _, err := archive.TreeSize(t.Context(), layer+"/none"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want %v", err, unix.ENOENT)
	}
}
