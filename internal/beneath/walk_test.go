package beneath_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestWalkGoesInOrderAndFollowsNothing(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/a/b", root+"/a.d", root+"/skipped/sub")
	write(t, root+"/a/b/f", "")
	write(t, root+"/a/z", "")
	write(t, root+"/a-", "")
	symlink(t, outside, root+"/a/link")
	var got []string
	err := open(t, root).Walk(t.Context(), func(e *beneath.Entry) error {
		got = append(got, e.Path())
		if e.Name == "skipped" {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a", "a/b", "a/b/f", "a/link", "a/z", "a-", "a.d", "skipped"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWalkEndsWithTheErrorOfTheVisit(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/a/b", root+"/c")
	stop := errors.New("stop")
	visits := 0
	err := open(t, root).Walk(t.Context(), func(*beneath.Entry) error {
		visits++
		return stop
	})
	if !errors.Is(err, stop) || visits != 1 {
		t.Errorf("got %v after %d visits", err, visits)
	}
}

func TestWalkHonoursTheContext(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/a/b")
	ctx, cancel := context.WithCancel(t.Context())
	err := open(t, root).Walk(ctx, func(*beneath.Entry) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestWalkHasNoLimitOfDepth(t *testing.T) {
	const levels = 2000
	root, _ := house(t)
	dig(t, root, levels)
	dir := open(t, root)
	before, most, visits := descriptors(t), 0, 0
	err := dir.Walk(t.Context(), func(e *beneath.Entry) error {
		if visits++; visits%500 == 0 {
			most = max(most, descriptors(t))
		}
		if e.Name == "bottom" && len(e.Path()) != levels*len("down/")+len("bottom") {
			t.Errorf("path of the last file has %d bytes", len(e.Path()))
		}
		return nil
	})
	if err != nil || visits != levels+1 {
		t.Errorf("%d visits, error %v", visits, err)
	}
	if most-before > 4 {
		t.Errorf("%d descriptors more than before", most-before)
	}
	if err := dir.RemoveAll(t.Context(), "down"); err != nil {
		t.Error(err) // testing removes with a descriptor per level
	}
}

func TestWalkLeavesOutWhatVanishes(t *testing.T) {
	root, _ := house(t)
	for i := range 10 {
		mkdirs(t, fmt.Sprintf("%s/%d/sub", root, i))
	}
	var got []string
	err := open(t, root).Walk(t.Context(), func(e *beneath.Entry) error {
		got = append(got, e.Path())
		if e.Name == "0" {
			for i := range 10 { // among them the directory that is being visited
				if i != 5 {
					if err := os.RemoveAll(fmt.Sprintf("%s/%d", root, i)); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	if diff := cmp.Diff([]string{"0", "5", "5/sub"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestCursorDoesNotFollowAMovedDirectory(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/a/b")
	cursor, err := open(t, root).Cursor()
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	if err := errors.Join(cursor.Enter("a"), cursor.Enter("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(root+"/a/b", outside+"/b"); err != nil {
		t.Fatal(err)
	}
	if err := cursor.Leave(); !errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v, want %v", err, model.ErrBusy)
	}
}

func TestCursorRefusesLinksAndPaths(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/a/b")
	symlink(t, outside, root+"/link")
	symlink(t, "a", root+"/inner")
	write(t, root+"/file", "")
	cursor, err := open(t, root).Cursor()
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	for name, want := range map[string]error{
		"link": unix.ENOTDIR, "inner": unix.ENOTDIR, "file": unix.ENOTDIR, "none": unix.ENOENT,
		"..": model.ErrInvalid, "a/b": model.ErrInvalid, "": model.ErrInvalid,
	} {
		if err := cursor.Enter(name); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
}

func TestCursorStopsAtMounts(t *testing.T) {
	testutil.NeedRoot(t)
	root, outside := house(t)
	mkdirs(t, root+"/mounted")
	if err := unix.Mount(outside, root+"/mounted", "", unix.MS_BIND, ""); err != nil {
		testutil.Missing(t, "bind mounts: %v", err)
	}
	defer func() {
		if err := unix.Unmount(root+"/mounted", unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	err := open(t, root).Walk(t.Context(), func(*beneath.Entry) error { return nil })
	if !errors.Is(err, model.ErrBusy) {
		t.Errorf("got %v, want %v", err, model.ErrBusy)
	}
}
