package overlay_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// content returns what a layer shows, without the times of directories.
func content(t testing.TB, d drivers.Driver, id string) testutil.Listing {
	t.Helper()
	listing := testutil.Snapshot(t, mount(t, d, id))
	must(t, d.Unmount(t.Context(), id))
	for name, entry := range listing {
		if entry.Type == "dir" {
			entry.ModTime = time.Time{}
			listing[name] = entry
		}
	}
	return listing
}

// changeIndirectly changes a layer so that the upper directory has less than all
// of it: the mode of a file, and where the mount allows it the name of a directory.
func changeIndirectly(t testing.TB, root string) {
	t.Helper()
	must(t, unix.Chmod(root+"/file", 0o4755))
	if err := unix.Rename(root+"/dir", root+"/renamed"); err == nil {
		must(t, os.WriteFile(root+"/renamed/new", []byte("new"), 0o600))
		must(t, os.Remove(root+"/renamed/old"))
	} else {
		wantErr(t, err, unix.EXDEV)
	}
}

func withLower(t testing.TB, home string) {
	t.Helper()
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base", "top", "above")
	root := mount(t, driver, "base")
	must(t, os.MkdirAll(root+"/dir/sub", 0o755))
	must(t, os.WriteFile(root+"/dir/old", []byte("old"), 0o600))
	must(t, os.WriteFile(root+"/dir/sub/file", []byte("below"), 0o600))
	must(t, os.WriteFile(root+"/file", []byte("content of file"), 0o600))
	must(t, driver.Unmount(t.Context(), "base"))
	must(t, driver.Create(t.Context(), "copy", "base", drivers.CreateOptions{}))
}

func TestDiffsOfIndirectLayersAreWhole(t *testing.T) {
	metacopied := []model.Change{{Path: "/file", Kind: model.ChangeModify}}
	renamed := slices.Concat([]model.Change{{Path: "/dir", Kind: model.ChangeDelete}}, metacopied)
	for _, name := range []string{"/renamed", "/renamed/new", "/renamed/sub", "/renamed/sub/file"} {
		renamed = append(renamed, model.Change{Path: name, Kind: model.ChangeAdd})
	}
	for name, test := range map[string]struct {
		configured string
		options    []string // of the one mount
		want       []model.Change
		marks      int
	}{
		"neither":            {"nodev", nil, metacopied, 0},
		"metacopy":           {"metacopy=on", nil, renamed, 2}, // which implies the other
		"redirect":           {"redirect_dir=on", nil, renamed, 1},
		"both":               {"metacopy=on,redirect_dir=on", nil, renamed, 2},
		"both, other option": {"metacopy=on,redirect_dir=on", []string{"nodev"}, renamed, 2},
		"redirect of one":    {"nodev", []string{"redirect_dir=on"}, renamed, 1},
	} {
		for way, construct := range constructors() {
			t.Run(name+"/"+way, func(t *testing.T) {
				home := newHome(t)
				withLower(t, home)
				driver := openIn(t, construct, home, "overlay.mountopt="+test.configured)
				changeIndirectly(t, mount(t, driver, "top", test.options...))
				must(t, driver.Unmount(t.Context(), "top"))
				want := content(t, driver, "top")

				// Also opened by somebody who does not know of the options.
				plain := openIn(t, construct, home)
				for _, d := range []drivers.Driver{driver, plain} {
					got, err := drivers.Changes(t.Context(), d, "top", "base")
					must(t, err)
					if diff := cmp.Diff(test.want, got); diff != "" {
						t.Errorf("changes: want (-), got (+):\n%s", diff)
					}
					for _, id := range []string{"top", "above"} {
						if diff := cmp.Diff(want, content(t, d, id)); diff != "" {
							t.Errorf("%s: want (-), got (+):\n%s", id, diff)
						}
					}
					apply(t, d, "copy", diffOf(t, d, "top", "base"))
					if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(content(t, d, "copy")))); diff != "" {
						t.Errorf("copy: want (-), got (+):\n%s", diff)
					}
					if file := content(t, d, "copy")["file"]; file.SHA256 != want["file"].SHA256 || file.Mode != 0o4755 {
						t.Errorf("copy has %v", file)
					}
					read(t, d, "top", "file", "content of file")
				}
				if marks, err := filepath.Glob(home + "/.has-*"); err != nil || len(marks) != test.marks {
					t.Errorf("marks are %q, %v", marks, err)
				}
			})
		}
	}
}

// read checks the content of a file in a layer's diff.
func read(t testing.TB, d drivers.Driver, id, name, want string) {
	t.Helper()
	files, err := drivers.OpenContent(t.Context(), d, id)
	must(t, err)
	defer files.Close()
	file, err := files.Open(name)
	must(t, err)
	defer file.Close()
	got := make([]byte, 100)
	n, err := file.Read(got)
	if err != nil || string(got[:n]) != want {
		t.Errorf("%s contains %q, %v", name, got[:n], err)
	}
}

func TestMountProgramsDoNotGetIndirectLayers(t *testing.T) {
	home := newHome(t)
	withLower(t, home)
	driver := openIn(t, overlay.Open, home, "overlay.mountopt=redirect_dir=on")
	mount(t, driver, "top")
	_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: []string{"overlay.mount_program=" + fuseOverlayfs(t)}})
	wantErr(t, err, model.ErrUnsupported)
	// And nothing has changed by that.
	chain(t, openIn(t, overlay.Open, home), "other")
	mount(t, driver, "other")
}
