package content_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

var errOnPurpose = errors.New("on purpose")

// open returns content files in a directory of their own.
func open(t *testing.T) (*content.Files, string) {
	t.Helper()
	root := t.TempDir()
	files, err := content.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return files, root
}

// create makes a content file.
func create(t *testing.T, files *content.Files, path, text string) model.Content {
	t.Helper()
	w, err := files.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Fill(t.Context(), strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	c, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// names lists everything below a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	lines := []string{}
	for name := range testutil.Snapshot(t, dir) {
		lines = append(lines, name)
	}
	return lines
}

func TestFileIsThereWithItsNameWhenItIsFinished(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o777)) // which must not matter
	files, root := open(t)
	w, err := files.Create("area/id/key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "some "); err != nil {
		t.Fatal(err)
	}
	if exists, err := files.Exists("area/id/key"); exists || err != nil {
		t.Errorf("unfinished, it exists: %v, %v", exists, err)
	}
	if err := w.Fill(t.Context(), strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	c, err := w.Commit()
	want := model.Content{Path: "area/id/key", Digest: digest.FromString("some text"), Size: 9}
	if diff := cmp.Diff(want, c); diff != "" || err != nil {
		t.Errorf("content (-want +got): %v\n%s", err, diff)
	}
	if exists, err := files.Exists("area/id/key"); !exists || err != nil {
		t.Errorf("finished, it exists: %v, %v", exists, err)
	}
	f, err := files.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "some text" {
		t.Errorf("got %q, %v", got, err)
	}
	for name, mode := range map[string]os.FileMode{"area": 0o700, "area/id": 0o700, "area/id/key": 0o600} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestAbortedFileLeavesNothingButItsDirectory(t *testing.T) {
	files, root := open(t)
	w, err := files.Create("area/id/key")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Fill(t.Context(), io.MultiReader(strings.NewReader("x"), failing{})); !errors.Is(err, errOnPurpose) {
		t.Errorf("got %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := files.Remove("area/id/key"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, filepath.Join(root, "area")); len(got) != 1 {
		t.Errorf("left over: %q", got)
	}
}

// failing is a stream that cannot be read.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errOnPurpose }

func TestFillingEndsWithTheContext(t *testing.T) {
	files, _ := open(t)
	w, err := files.Create("area/id/key")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOnPurpose)
	if err := w.Fill(ctx, strings.NewReader("x")); !errors.Is(err, errOnPurpose) {
		t.Errorf("got %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
}

func TestUnfinishedFileOfAnEarlierWriterIsReplaced(t *testing.T) {
	files, root := open(t)
	if err := os.MkdirAll(filepath.Join(root, "area/id"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "area/id/.tmp-key"), []byte("old and longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := create(t, files, "area/id/key", "new"); c.Size != 3 || files.Verify(t.Context(), c) != nil {
		t.Errorf("content is %+v", c)
	}
}

func TestPathsThatLeadElsewhereAreRefused(t *testing.T) {
	files, root := open(t)
	if err := os.MkdirAll(filepath.Join(root, "area"), 0o700); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "key"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"area/out": outside, "area/up": "..", "area/key": filepath.Join(outside, "key")} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"", ".", "..", "key", "/etc/passwd", "../x/key", "area/../key", "area//key", "area/out/key", "area/up/key", "area/./key"} {
		if _, err := files.Create(path); err == nil {
			t.Errorf("%q was created", path)
		}
		if f, err := files.Open(model.Content{Path: path, Size: 4}); err == nil {
			t.Errorf("%q was opened as %s", path, f.Name())
		}
		// What is not reached is not there, for whoever removes.
		_ = files.Remove(path)
		_ = files.RemoveTree(t.Context(), path)
	}
	if f, err := files.Open(model.Content{Path: "area/key", Size: 4}); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("the link was opened: %v, %v", f, err)
	}
	if got, err := os.ReadFile(filepath.Join(outside, "key")); err != nil || string(got) != "mine" {
		t.Errorf("the file outside has %q, %v", got, err)
	}
}

func TestDamageIsFound(t *testing.T) {
	files, root := open(t)
	c := create(t, files, "area/id/key", "text")
	if err := files.Verify(t.Context(), c); err != nil {
		t.Errorf("undamaged: %v", err)
	}
	other := c
	other.Digest = digest.FromString("other")
	longer := c
	longer.Size = 5
	missing := c
	missing.Path = "area/id/missing"
	nowhere := c
	nowhere.Path = "missing/id/key"
	for name, wrong := range map[string]model.Content{"digest": other, "size": longer, "missing": missing, "missing directory": nowhere} {
		if err := files.Verify(t.Context(), wrong); !errors.Is(err, model.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := files.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.WriteFile(filepath.Join(root, "area/id/key"), []byte("tex"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := content.Verify(t.Context(), f, c); !errors.Is(err, model.ErrCorrupt) {
		t.Errorf("shorter: %v", err)
	}
}

func TestRemovingTheLastFileRemovesTheDirectory(t *testing.T) {
	files, root := open(t)
	create(t, files, "area/id/a", "1")
	create(t, files, "area/id/b", "2")
	create(t, files, "area/split", "3")
	for i, path := range []string{"area/id/a", "area/id/a", "area/id/b", "area/split", "area/never/x", "never/x/y"} {
		if err := files.Remove(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Lstat(filepath.Join(root, "area/id")); (err == nil) != (i < 2) {
			t.Errorf("after %s: %v", path, err)
		}
	}
	if got := names(t, filepath.Join(root, "area")); len(got) != 1 {
		t.Errorf("left over: %q", got)
	}
}

func TestTreesAreRemoved(t *testing.T) {
	files, root := open(t)
	create(t, files, "area/id/key", "1")
	deep := filepath.Join(root, "area/id/userdata/a/b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := files.RemoveTree(t.Context(), "area/id/userdata"); err != nil {
			t.Fatal(err)
		}
	}
	if exists, err := files.Exists("area/id/key"); !exists || err != nil {
		t.Errorf("the file beside it: %v, %v", exists, err)
	}
}

func TestListHasEverything(t *testing.T) {
	files, root := open(t)
	create(t, files, "area/a.tar-split.gz", "1")
	create(t, files, "area/id/key", "1")
	for _, dir := range []string{"area/id/userdata/below", "area/empty", "area/other/folder/deep"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"area/.tmp-b.tar-split.gz", "area/id/.tmp-key", "area/id/.tmp-new", "beside"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("id", filepath.Join(root, "area/link")); err != nil {
		t.Fatal(err)
	}
	got, err := files.List(t.Context(), "area")
	want := []string{
		"area/a.tar-split.gz", "area/b.tar-split.gz", "area/empty/userdata", "area/id/key", "area/id/new", "area/id/userdata",
		"area/link", "area/other/folder",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("list (-want +got): %v\n%s", err, diff)
	}
	if got, err := files.List(t.Context(), "never"); err != nil || len(got) > 0 {
		t.Errorf("an area that does not exist: %q, %v", got, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOnPurpose)
	if _, err := files.List(ctx, "area"); !errors.Is(err, errOnPurpose) {
		t.Errorf("got %v", err)
	}
}

// Somebody removes the last file of an object again and again while somebody
// else makes new ones.
func TestCreateAndRemoveAtTheSameTime(t *testing.T) {
	files, _ := open(t)
	stop, done := make(chan bool), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if err := files.Remove("area/id/a"); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	for range 200 {
		w, err := files.Create("area/id/b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.CommitUnsynced(); err != nil {
			t.Fatal(err)
		}
		if err := files.Remove("area/id/b"); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
