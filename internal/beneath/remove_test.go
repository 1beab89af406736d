package beneath_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestRemoveAllRemovesTheTreeAndNothingElse(t *testing.T) {
	root, outside := house(t)
	testutil.OddTree(t, outside)
	mkdirs(t, root+"/keep", root+"/tree", root+"/in")
	testutil.OddTree(t, root+"/tree")
	symlink(t, outside, root+"/tree/escape")
	symlink(t, "../../../outside/folder", root+"/tree/names/escape")
	symlink(t, outside, root+"/link")
	symlink(t, "/in", root+"/inlink")
	write(t, root+"/in/file", "")
	before := testutil.Snapshot(t, outside)
	dir := open(t, root)

	for _, name := range []string{"tree", "link", "inlink/file", "none", "none/none", "keep/none", "in/none/../file"} {
		if err := dir.RemoveAll(t.Context(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	names, err := dir.Names()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"in", "inlink", "keep"}, names); diff != "" {
		t.Errorf("entries that remain: %s", diff)
	}
	if exists(t, root+"/in/file") {
		t.Error("file behind a link to a directory remains")
	}
	if diff := cmp.Diff(before, testutil.Snapshot(t, outside)); diff != "" {
		t.Errorf("changed outside: %s", diff)
	}
}

func TestRemoveAllRefusesNamesOfNoEntry(t *testing.T) {
	root, outside := house(t)
	dir := open(t, root)
	for _, name := range []string{"", ".", "..", "/", "a/..", "../..", "a\x00"} {
		if err := dir.RemoveAll(t.Context(), name); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
	if err := dir.RemoveAll(t.Context(), "../outside"); err != nil {
		t.Error(err) // it is root/outside, which does not exist
	}
	if !exists(t, root) || !exists(t, outside+"/secret") {
		t.Error("removed the root or more")
	}
}

func TestRemoveAllTakesAnOpenFile(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/tree/sub")
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := beneath.RemoveAll(t.Context(), dir, "tree"); err != nil || exists(t, root+"/tree") {
		t.Errorf("tree remains, error %v", err)
	}
}

func TestRemoveAllHasNoLimitOfDepth(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/tree")
	dig(t, root+"/tree", 3000)
	dir := open(t, root)
	var old, few unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few = unix.Rlimit{Cur: uint64(descriptors(t) + 20), Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	err := dir.RemoveAll(t.Context(), "tree")
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Error(err)
	}
	if err != nil || exists(t, root+"/tree") {
		t.Errorf("tree remains, error %v", err)
	}
}

func TestRemoveAllStopsAtMounts(t *testing.T) {
	testutil.NeedRoot(t)
	root, outside := house(t)
	mkdirs(t, root+"/tree/sub/mounted")
	target := root + "/tree/sub/mounted"
	if err := unix.Mount(outside, target, "", unix.MS_BIND, ""); err != nil {
		testutil.Missing(t, "bind mounts: %v", err)
	}
	defer func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := open(t, root).RemoveAll(t.Context(), "tree"); !errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v, want %v", err, model.ErrBusy)
	}
	if !exists(t, outside+"/secret") {
		t.Error("removed what was mounted")
	}
}

func TestRemoveAllHonoursTheContext(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/tree/sub")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, root).RemoveAll(ctx, "tree"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestRemoveAllRacesWithOthers lets others fill the tree, swap its directories
// for links that lead out, and move them about, while it is removed.
func TestRemoveAllRacesWithOthers(t *testing.T) {
	root, outside := house(t)
	for i := range 50 {
		write(t, fmt.Sprintf("%s/folder/%d", outside, i), "x")
	}
	before := testutil.Snapshot(t, outside)
	dir := open(t, root)
	for round := range 20 {
		tree := filepath.Join(root, "tree")
		for i := range 20 {
			mkdirs(t, fmt.Sprintf("%s/%d/sub/sub", tree, i))
		}
		var others sync.WaitGroup
		others.Go(func() {
			for i := range 20 {
				victim := fmt.Sprintf("%s/%d", tree, i)
				if os.Rename(victim+"/sub", fmt.Sprintf("%s/moved-%d-%d", root, round, i)) == nil {
					_ = os.Symlink(outside, victim+"/sub")
				}
				_ = os.WriteFile(victim+"/late", nil, 0o600)
			}
		})
		err := dir.RemoveAll(t.Context(), "tree")
		others.Wait()
		if err != nil && !errors.Is(err, model.ErrBusy) && !errors.Is(err, unix.ENOTEMPTY) {
			t.Fatal(err)
		}
		if err := dir.RemoveAll(t.Context(), "tree"); err != nil || exists(t, tree) {
			t.Fatalf("second attempt, undisturbed: tree remains, error %v", err)
		}
	}
	if diff := cmp.Diff(before, testutil.Snapshot(t, outside)); diff != "" {
		t.Errorf("changed outside: %s", diff)
	}
}
