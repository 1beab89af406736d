package content_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

func TestWalkFindsAllThatIsInAnArea(t *testing.T) {
	root := t.TempDir()
	area := content.Area("vfs", model.KindImage)
	for _, name := range []string{
		"top.tar-split.gz", "a/manifest", "a/.tmp-config", "a/userdata/deep/file", "b/odd/file", "empty/", "userdata/file", ".tmp-x",
	} {
		path := filepath.Join(root, area, name)
		dir := filepath.Dir(path)
		if name[len(name)-1] == '/' {
			dir = path
		}
		must(t, os.MkdirAll(dir, 0o700))
		if dir != path && name[len(name)-1] != '/' {
			must(t, os.WriteFile(path, []byte("12345"), 0o600))
		}
	}
	must(t, os.Symlink("/etc", filepath.Join(root, area, "a/link")))
	files, err := content.Open(root)
	must(t, err)
	defer files.Close()

	type found struct {
		Path, Final       string
		Finished, UserDir bool
		Kind              uint32
		Size              int64
	}
	var got []found
	must(t, files.Walk(t.Context(), area, func(f content.Found) error {
		one := found{f.Path, f.Final, f.Finished(), f.IsUserDir(), f.Mode & unix.S_IFMT, 0}
		if one.Kind == unix.S_IFREG {
			one.Size = f.Size
		}
		got = append(got, one)
		return nil
	}))
	want := []found{
		{area + "/.tmp-x", area + "/x", false, false, unix.S_IFREG, 5},
		{area + "/a/.tmp-config", area + "/a/config", false, false, unix.S_IFREG, 5},
		{area + "/a/link", area + "/a/link", true, false, unix.S_IFLNK, 0},
		{area + "/a/manifest", area + "/a/manifest", true, false, unix.S_IFREG, 5},
		{area + "/a/userdata", area + "/a/userdata", true, true, unix.S_IFDIR, 0},
		{area + "/b/odd", area + "/b/odd", true, false, unix.S_IFDIR, 0},
		{area + "/top.tar-split.gz", area + "/top.tar-split.gz", true, false, unix.S_IFREG, 5},
		{area + "/userdata/file", area + "/userdata/file", true, false, unix.S_IFREG, 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	must(t, files.Walk(t.Context(), "vfs-layers", func(f content.Found) error {
		t.Errorf("found %+v in an area that does not exist", f)
		return nil
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
