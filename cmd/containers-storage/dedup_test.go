package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

// storeOn returns a store of the driver vfs on a file system of the given kind,
// with two images that have a file in common.
func storeOn(t *testing.T, fs string) localStore {
	t.Helper()
	s := newLocalStore(t)
	dir := testutil.SharedLoop(t, fs)
	s.root, s.runRoot = filepath.Join(dir, "root"), filepath.Join(dir, "run")
	for _, id := range []string{"one", "two"} {
		s.ok(t, "import-layer", "--id", id, "--file", filepath.Join(s.files, "base.tar"))
		s.ok(t, "create-image", "--id", id, id)
	}
	return s
}

func TestDedupPrintsTheSameEachTimeAndByEachMethod(t *testing.T) {
	t.Parallel()
	for _, fs := range []string{"xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			t.Parallel()
			s := storeOn(t, fs)
			var bytes int64
			if _, err := fmt.Sscanf(s.ok(t, "dedup", "-n"), "Would deduplicate %d bytes\n", &bytes); err != nil || bytes == 0 {
				t.Fatalf("%d bytes, %v", bytes, err)
			}
			// btrfs has such small files beside their names.
			if at := s.extents(t); at[0] == at[1] && fs == "xfs" {
				t.Errorf("after a dry run both files are at %s", at[0])
			}
			text, json := fmt.Sprintf("Deduplicated %d bytes\n", bytes), fmt.Sprintf("{\"Deduped\":%d}\n", bytes)
			for range 3 {
				for _, method := range []string{"crc", "size", "sha256"} {
					if got := s.ok(t, "dedup", "--hash-method", method); got != text {
						t.Errorf("printed %q instead of %q", got, text)
					}
					if got := s.ok(t, "dedup", "-j", "--hash-method", method); got != json {
						t.Errorf("printed %q instead of %q", got, json)
					}
				}
			}
		})
	}
}

// extents returns where on the disk a file of both images is.
func (s localStore) extents(t *testing.T) (at [2]string) {
	t.Helper()
	testutil.NeedTool(t, "filefrag")
	for i, id := range []string{"one", "two"} {
		cmd := exec.CommandContext(t.Context(), "filefrag", "-s", "-v", "a")
		cmd.Dir = filepath.Join(s.root, "vfs/dir", id)
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "\n   0:") {
			t.Fatalf("%s: %v", out, err)
		}
		at[i] = string(out)
	}
	return at
}

// Scripts rely on that it succeeds.
func TestDedupOnOtherFileSystemsSaysWhyItDoesNothing(t *testing.T) {
	t.Parallel()
	s := storeOn(t, "ext4")
	for _, test := range []struct {
		words, stdout string
		says          bool
	}{
		{"dedup", "Deduplicated 0 bytes\n", true},
		{"dedup --dry-run", "Would deduplicate 0 bytes\n", true},
		{"dedup --json", "{\"Deduped\":0}\n", false},
	} {
		r := s.run(t, strings.Fields(test.words)...)
		says := strings.Contains(r.stderr, "cannot let files share their content") && strings.Count(r.stderr, "\n") == 1
		if r.status != exitOK || r.stdout != test.stdout || says != test.says || !says && r.stderr != "" {
			t.Errorf("%s: %+v", test.words, r)
		}
	}
}

func TestFailedDedupPrintsAnEmptyObject(t *testing.T) {
	t.Parallel()
	s := storeOn(t, "xfs")
	s.ok(t, "import-layer", "--id", "gone", "--file", filepath.Join(s.files, "base.tar"))
	s.ok(t, "create-image", "gone")
	if err := os.RemoveAll(filepath.Join(s.root, "vfs/dir/gone")); err != nil {
		t.Fatal(err)
	}
	if r := s.run(t, "dedup", "--json"); r.status != exitFailed || r.stdout != "{}\n" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	if stderr := s.fails(t, "dedup"); !strings.Contains(stderr, "gone") || !strings.HasPrefix(stderr, "dedup: ") {
		t.Errorf("error is %q", stderr)
	}
}
