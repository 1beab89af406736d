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

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/model"
)

// openBeside opens a driver in a new home, with others as those of other stores,
// and returns that home and the driver.
func openBeside(t testing.TB, others ...string) (home string, driver drivers.Driver) {
	t.Helper()
	return openBesideWith(t, nil, others...)
}

// openBesideWith is openBeside with options.
func openBesideWith(t testing.TB, options []string, others ...string) (home string, driver drivers.Driver) {
	t.Helper()
	home = newHome(t)
	driver, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Options: options, Others: others})
	must(t, err)
	t.Cleanup(func() { must(t, driver.Close(context.WithoutCancel(t.Context()))) })
	return home, driver
}

func readOnly() drivers.MountOptions { return drivers.MountOptions{ReadOnly: true} }

// wantFiles checks what a layer shows.
func wantFiles(t testing.TB, d drivers.Driver, id string, want ...string) {
	t.Helper()
	path, err := d.Mount(t.Context(), id, readOnly())
	must(t, err)
	var got []string
	entries, err := os.ReadDir(path)
	must(t, err)
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s shows %q, want %q", id, got, want)
	}
	must(t, d.Unmount(t.Context(), id))
}

func TestHomeWithLayersOnThoseOfOthersHasNothingElse(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base", "middle")
	home, driver := openBeside(t, theirs)
	must(t, driver.Create(t.Context(), "top", "middle", drivers.CreateOptions{}))
	text := strings.Join(list(t, home), "\n")
	for id, at := range map[string]string{"base": theirs, "middle": theirs, "top": home} {
		name, err := os.ReadFile(filepath.Join(at, id, "link"))
		must(t, err)
		text = strings.ReplaceAll(text, string(name), "<"+id+">")
	}
	want := []string{
		". dir 0700", "l dir 0755", "l/<top> symlink 0000 ../top/diff",
		"top dir 0700", "top/diff dir 0555", "top/link file 0644 <top>", "top/lower file 0666 l/<middle>:l/<base>", "top/merged dir 0700", "top/work dir 0700",
	}
	got := strings.Split(text, "\n")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestMetadataTellWhereALayerOfAnotherHomeIs(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base", "top")
	home, driver := openBeside(t, theirs)
	teller, ok := driver.(drivers.MetadataDriver)
	if !ok {
		t.Fatal("no metadata")
	}
	got, err := teller.Metadata(t.Context(), "top")
	must(t, err)
	want := []drivers.Pair{
		{Name: "WorkDir", Value: theirs + "/top/work"},
		{Name: "MergedDir", Value: home + "-run/top/merged"},
		{Name: "UpperDir", Value: theirs + "/top/diff"},
		{Name: "LowerDir", Value: theirs + "/base/diff"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestLayerOfAnotherHomeWithoutAnyNameCanBeAParent(t *testing.T) {
	theirs := newHome(t)
	other := openIn(t, overlay.Open, theirs)
	chain(t, other, "base")
	must(t, os.WriteFile(filepath.Join(theirs, "base", "diff", "file"), nil, 0o600))
	must(t, os.RemoveAll(filepath.Join(theirs, "l")))
	must(t, os.Remove(filepath.Join(theirs, "base", "link")))
	before := list(t, theirs)
	_, driver := openBeside(t, theirs)
	must(t, driver.Create(t.Context(), "top", "base", drivers.CreateOptions{}))
	wantFiles(t, driver, "top", "file")
	if diff := cmp.Diff(before, list(t, theirs)); diff != "" {
		t.Errorf("the other home has changed:\n%s", diff)
	}
	// The layer may get a new name there.
	must(t, os.Mkdir(filepath.Join(theirs, "l"), 0o755))
	must(t, other.Create(t.Context(), "child", "base", drivers.CreateOptions{}))
	wantFiles(t, driver, "top", "file")
}

func TestBaseLayerOfAnotherHomeNeedsNothingThere(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base")
	must(t, os.WriteFile(filepath.Join(theirs, "base", "diff", "file"), nil, 0o600))
	for _, name := range []string{"empty", "work", "merged", "link"} {
		must(t, os.Remove(filepath.Join(theirs, "base", name)))
	}
	before := list(t, theirs)
	_, driver := openBeside(t, theirs)
	wantFiles(t, driver, "base", "file")
	if diff := cmp.Diff(before, list(t, theirs)); diff != "" {
		t.Errorf("the other home has changed:\n%s", diff)
	}
}

func TestAnotherHomeCannotPassALayerOffAsOurs(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base")
	home, driver := openBeside(t, theirs)
	chain(t, driver, "secret")
	name, err := os.ReadFile(filepath.Join(home, "secret", "link"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(theirs, "base", "link"), name, 0o600))
	wantErr(t, driver.Create(t.Context(), "top", "base", drivers.CreateOptions{}), model.ErrCorrupt)
	if exists, err := driver.Exists(t.Context(), "top"); exists || err != nil {
		t.Errorf("top exists: %v, %v", exists, err)
	}
}

func TestLayersThatAreGoneAreFoundInACopyOfTheStore(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base", "top")
	must(t, os.WriteFile(filepath.Join(theirs, "base", "diff", "file"), nil, 0o600))
	home := newHome(t)
	must(t, os.CopyFS(home, os.DirFS(theirs)))
	must(t, os.RemoveAll(filepath.Join(home, "base"))) // but its short name is there
	driver, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run", Others: []string{theirs}})
	must(t, err)
	t.Cleanup(func() { must(t, driver.Close(context.WithoutCancel(t.Context()))) })
	wantFiles(t, driver, "top", "file")
}

func TestOtherHomeOfAMountProgramIsRefused(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base", "top")
	_, driver := openBeside(t, theirs)
	chain(t, driver, "own")
	must(t, driver.Create(t.Context(), "child", "top", drivers.CreateOptions{}))
	must(t, os.WriteFile(filepath.Join(theirs, ".has-mount-program"), []byte("true"), 0o600))
	for _, id := range []string{"base", "top", "child"} {
		_, err := driver.Mount(t.Context(), id, readOnly())
		wantErr(t, err, model.ErrDriverPrerequisites)
	}
	wantErr(t, driver.Create(t.Context(), "another", "top", drivers.CreateOptions{}), model.ErrDriverPrerequisites)
	wantFiles(t, driver, "own")
}

func TestMountThatFailsLeavesNoMountPointElsewhere(t *testing.T) {
	theirs := newHome(t)
	chain(t, openIn(t, overlay.Open, theirs), "base", "top")
	home, driver := openBeside(t, theirs)
	must(t, os.Mkdir(home+"-run/top", 0o700)) // of one that failed
	if _, err := driver.Mount(t.Context(), "top", drivers.MountOptions{Options: []string{"ro,unicorns=on"}}); err == nil {
		t.Error("mounted with an option that does not exist")
	}
	if _, err := os.Lstat(home + "-run/top"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of the mount point is left (%v)", err)
	}
	must(t, os.Symlink("/etc", home+"-run/top"))
	_, err := driver.Mount(t.Context(), "top", readOnly())
	wantErr(t, err, model.ErrCorrupt)
	wantErr(t, driver.Unmount(t.Context(), "top"), model.ErrCorrupt)
}

// otherHomeRootless runs as root of a user namespace and reads a layer in the
// home of another store.
func otherHomeRootless(ctx context.Context, dir string) (err error) {
	config := drivers.Config{
		Home: filepath.Join(dir, "second"), RunHome: filepath.Join(dir, "second-run"), Others: []string{filepath.Join(dir, "home")},
	}
	driver, err := overlay.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, driver.Close(ctx)) }()
	if err := driver.Create(ctx, "child", "top", drivers.CreateOptions{}); err != nil {
		return err
	}
	if err := change(ctx, driver, "child", func(root string) error { return wantTree(root, ".", "dir", "dir/new") }); err != nil {
		return err
	}
	for _, id := range []string{"top", "base"} {
		root, err := driver.Mount(ctx, id, readOnly())
		if err != nil {
			return err
		}
		want := []string{".", "dir", "dir/new"}
		if id == "base" {
			want = []string{".", "dir", "dir/sub", "file"}
		}
		if err := errors.Join(wantTree(root, want...), driver.Unmount(ctx, id)); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return driver.Remove(ctx, "child")
}
