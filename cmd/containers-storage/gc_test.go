package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

// content lists what there is below the directories of the store.
func (s script) content(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, root := range []string{s.root, s.runRoot} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "merged" { // what is mounted
				return fs.SkipDir
			}
			if filepath.Dir(path) != root { // databases and locks
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestScriptCollectsWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-image", "-i", "image", s.line(t, "import-layer", "-f", testFile(t, "base.tar")))
		container := s.line(t, "create-container", "image")
		dir := s.line(t, "mount", container)
		writeFile(t, filepath.Join(dir, "file"), "text")
		// What is made once and stays has been made.
		s.ok(t, "import-layer", "-i", "new", "-f", testFile(t, "base.tar"))
		s.ok(t, "delete-layer", "new")
		s.ok(t, "gc")
		before := s.content(t)

		begun := filepath.Join(s.root, map[string]string{"overlay": "overlay/new/diff/file", "vfs": "vfs/dir/new/file"}[s.driver])
		s.stop(t, unix.SIGKILL, func() {
			testutil.Eventually(t, "a part of the layer is there", func() bool {
				_, err := os.Lstat(begun)
				return err == nil
			})
		}, "import-layer", "-i", "new")
		s.wantOutput(t, "", "gc")
		if after := s.content(t); !slices.Equal(after, before) {
			t.Errorf("after it there is\n%s\ninstead of\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
		// Nobody has unmounted the container.
		s.wantOutput(t, container+" mounted\n", "mounted", container)
		if text, err := os.ReadFile(filepath.Join(dir, "file")); string(text) != "text" {
			t.Errorf("the container has %q, %v", text, err)
		}
	})
}

func TestFailedCollectionIsReported(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "layer")
	// A folder that is something else cannot be searched.
	folder := filepath.Join(s.root, "vfs-images")
	if err := errors.Join(os.Remove(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"gc"}, {"gc", "-j"}} {
		if r := s.run(t, words...); r.status != exitFailed || r.stdout != "" || !strings.HasPrefix(r.stderr, "gc: ") {
			t.Errorf("%q: %+v", words, r)
		}
	}
}
