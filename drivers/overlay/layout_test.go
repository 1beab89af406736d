package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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

// list returns the files of a home: path, type, mode, and content or target.
func list(t testing.TB, home string) []string {
	t.Helper()
	var lines []string
	for name, entry := range testutil.Snapshot(t, home) {
		content := entry.Target
		if entry.Type == "file" {
			text, err := os.ReadFile(filepath.Join(home, name))
			must(t, err)
			content = string(text)
		}
		if entry.Type == "symlink" {
			entry.Mode = 0 // which means nothing
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %04o %s", name, entry.Type, entry.Mode, content)))
	}
	slices.Sort(lines)
	return lines
}

func TestHomeIsLaidOutAsThatOfContainersStorage(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base", "middle", "top")
	text := strings.Join(list(t, home), "\n")
	for _, id := range []string{"base", "middle", "top"} {
		name, err := os.ReadFile(filepath.Join(home, id, "link"))
		must(t, err)
		if !regexp.MustCompile("^[A-Z2-7]{26}$").Match(name) {
			t.Errorf("short name of %s is %q", id, name)
		}
		text = strings.ReplaceAll(text, string(name), "<"+id+">")
	}
	want := []string{
		". dir 0700",
		"base dir 0700", "base/diff dir 0555", "base/empty dir 0700", "base/link file 0644 <base>", "base/merged dir 0700", "base/work dir 0700",
		"l dir 0755", "l/<base> symlink 0000 ../base/diff", "l/<middle> symlink 0000 ../middle/diff", "l/<top> symlink 0000 ../top/diff",
		"middle dir 0700", "middle/diff dir 0555", "middle/link file 0644 <middle>", "middle/lower file 0666 l/<base>", "middle/merged dir 0700", "middle/work dir 0700",
		"top dir 0700", "top/diff dir 0555", "top/link file 0644 <top>", "top/lower file 0666 l/<middle>:l/<base>", "top/merged dir 0700", "top/work dir 0700",
	}
	got := strings.Split(text, "\n")
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// adopt makes a home as containers/storage leaves it, by hand: three layers,
// of which the middle one had its owners changed once.
func adopt(t testing.TB, home string) {
	t.Helper()
	names := map[string]string{"base": strings.Repeat("B", 26), "middle": strings.Repeat("M", 26), "top": strings.Repeat("7", 26)}
	lowers := map[string]string{"middle": "l/" + names["base"], "top": "l/" + names["middle"] + ":l/" + names["base"]}
	must(t, os.MkdirAll(filepath.Join(home, "l"), 0o755))
	must(t, os.WriteFile(filepath.Join(home, ".has-mount-program"), []byte("false"), 0o600))
	for id, name := range names {
		for _, dir := range []string{"diff", "work", "merged"} {
			must(t, os.MkdirAll(filepath.Join(home, id, dir), 0o700))
		}
		must(t, os.WriteFile(filepath.Join(home, id, "diff", id), []byte("of "+id), 0o600))
		must(t, os.WriteFile(filepath.Join(home, id, "link"), []byte(name), 0o644))
		must(t, os.Symlink("../"+id+"/diff", filepath.Join(home, "l", name)))
		if lowers[id] != "" {
			must(t, os.WriteFile(filepath.Join(home, id, "lower"), []byte(lowers[id]), 0o666))
		}
	}
	for i, owner := range []string{"first", "second"} {
		older := filepath.Join(home, "middle", fmt.Sprint("diff", 2-i))
		must(t, os.Mkdir(older, 0o700))
		must(t, os.WriteFile(filepath.Join(older, "rotated"), []byte(owner), 0o600))
		must(t, os.WriteFile(filepath.Join(older, owner), nil, 0o600))
	}
}

func TestHomeOfContainersStorageIsUsed(t *testing.T) {
	home := newHome(t)
	adopt(t, home)
	driver := openIn(t, overlay.Open, home)
	ids, err := driver.List(t.Context())
	must(t, err)
	if want := []string{"base", "middle", "top"}; !slices.Equal(ids, want) {
		t.Fatalf("layers are %q, want %q", ids, want)
	}
	must(t, driver.Create(t.Context(), "new", "top", drivers.CreateOptions{}))
	for id, want := range map[string]string{"base": "base", "middle": "base first middle rotated second", "new": "base first middle rotated second top"} {
		for _, option := range []string{"rw", "ro"} {
			path := mount(t, driver, id, option)
			entries, err := os.ReadDir(path)
			must(t, err)
			var got []string
			for _, entry := range entries {
				got = append(got, entry.Name())
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s (%s) contains %q, want %q", id, option, got, want)
			}
			if id != "base" {
				// The latest of the older contents hides the others.
				if text, err := os.ReadFile(filepath.Join(path, "rotated")); err != nil || string(text) != "second" {
					t.Errorf("%s (%s): got %q, %v", id, option, text, err)
				}
			}
			must(t, driver.Unmount(t.Context(), id))
		}
	}
	// Its own changes are those in diff.
	changes, err := drivers.Changes(t.Context(), driver, "middle", "base")
	must(t, err)
	if want := []model.Change{{Path: "/middle", Kind: model.ChangeAdd}}; !slices.Equal(changes, want) {
		t.Errorf("changes are %v, want %v", changes, want)
	}
	content, err := drivers.OpenContent(t.Context(), driver, "middle")
	must(t, err)
	for _, name := range []string{"middle", "rotated", "first"} {
		file, err := content.Open(name)
		must(t, err)
		must(t, file.Close())
	}
	must(t, content.Close())
}

func TestHomeOfAMountProgramIsRefusedWhereThereIsNone(t *testing.T) {
	home := newHome(t)
	adopt(t, home)
	must(t, os.WriteFile(filepath.Join(home, ".has-mount-program"), []byte("true"), 0o600))
	before := list(t, home)
	t.Setenv("PATH", t.TempDir())
	_, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run"})
	wantErr(t, err, model.ErrDriverPrerequisites)
	if diff := cmp.Diff(before, list(t, home)); diff != "" {
		t.Errorf("home has changed:\n%s", diff)
	}
}

func TestRemoveTakesTheLayersOwnShortNameWhateverItsDirectorySays(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base", "top")
	nameOfBase, err := os.ReadFile(filepath.Join(home, "base", "link"))
	must(t, err)
	want := matches(t, home, "l/*")
	for _, content := range []string{string(nameOfBase), strings.Repeat("Z", 26), "../base", "", strings.Repeat("long", 9999)} {
		must(t, driver.Create(t.Context(), "evil", "", drivers.CreateOptions{}))
		must(t, os.WriteFile(filepath.Join(home, "evil", "link"), []byte(content), 0o600))
		must(t, driver.Remove(t.Context(), "evil"))
		if diff := cmp.Diff(want, matches(t, home, "l/*")); diff != "" {
			t.Errorf("with %.30q as its name: want (-), got (+):\n%s", content, diff)
		}
	}
}

func TestCreateThatFailsAtTheEndLeavesNothing(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	// Not a layer, but in the way of one.
	must(t, os.WriteFile(filepath.Join(home, "layer"), []byte("somebody else's"), 0o600))
	before := list(t, home)
	wantErr(t, driver.Create(t.Context(), "layer", "", drivers.CreateOptions{}), model.ErrExists)
	if diff := cmp.Diff(before, list(t, home)); diff != "" {
		t.Errorf("home has changed:\n%s", diff)
	}
}

func TestRemoveDoesNotFollowLinks(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base")
	must(t, os.Symlink("base", filepath.Join(home, "link")))
	must(t, os.Symlink("base", filepath.Join(home, ".part-other")))
	before := list(t, filepath.Join(home, "base"))
	for _, id := range []string{"link", "other"} {
		must(t, driver.Remove(t.Context(), id))
	}
	if diff := cmp.Diff(before, list(t, filepath.Join(home, "base"))); diff != "" {
		t.Errorf("base has changed:\n%s", diff)
	}
	if left, err := filepath.Glob(filepath.Join(home, "*")); err != nil || len(left) != 2 {
		t.Errorf("home contains %q, %v", left, err)
	}
}

func TestShortNamesAreRestoredAsTheyWere(t *testing.T) {
	for _, pattern := range []string{"*/link", "l/*"} {
		t.Run(pattern, func(t *testing.T) {
			home := newHome(t)
			driver := openIn(t, overlay.Open, home)
			chain(t, driver, "base", "middle", "top")
			want := list(t, home)
			for _, path := range matches(t, home, pattern) {
				must(t, os.Remove(path))
			}
			for _, junk := range []string{strings.Repeat("J", 26), "short"} {
				must(t, os.Symlink("../../etc", filepath.Join(home, "l", junk)))
			}
			// One that is being made at the same time has no layer yet.
			making := filepath.Join(home, "l", strings.Repeat("M", 26))
			must(t, os.Symlink("../making/diff", making))
			must(t, driver.Create(t.Context(), "new", "top", drivers.CreateOptions{}))
			must(t, driver.Remove(t.Context(), "new"))
			must(t, os.Remove(making))
			if diff := cmp.Diff(want, list(t, home)); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

func TestLayerThatLostItsNamesCanBeAParent(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base")
	for _, path := range matches(t, home, "l/*") {
		must(t, os.Remove(path))
	}
	must(t, os.Remove(filepath.Join(home, "base", "link")))
	must(t, driver.Create(t.Context(), "top", "base", drivers.CreateOptions{}))
	mount(t, driver, "top")
	if names := matches(t, home, "l/*"); len(names) != 2 {
		t.Errorf("short names are %q", names)
	}
}

func TestParentWithTheNameOfAnotherLayerIsRefused(t *testing.T) {
	home := newHome(t)
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base", "top")
	name, err := os.ReadFile(filepath.Join(home, "base", "link"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(home, "top", "link"), name, 0o600))
	err = driver.Create(t.Context(), "new", "top", drivers.CreateOptions{})
	wantErr(t, err, model.ErrCorrupt)
	must(t, os.Remove(filepath.Join(home, "top", "link")))
	must(t, unix.Mkfifo(filepath.Join(home, "top", "link"), 0o600)) // reading it would block
	err = driver.Create(t.Context(), "new", "top", drivers.CreateOptions{})
	wantErr(t, err, model.ErrCorrupt)
}
