package dedup_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/dedup"
	"github.com/csdb/csdb/internal/testutil"
)

// eachSharing runs a test in a directory of each file system that can share.
func eachSharing(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	for _, fs := range []string{"xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) { test(t, testutil.SharedLoop(t, fs)) })
	}
}

// write makes a file with the directories above it, older than the test.
func write(t testing.TB, path string, content []byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, content, 0o644))
	old := time.Unix(1_000_000_000, 123_456_789)
	must(t, os.Chtimes(path, old, old))
}

// noise returns content that is like no other.
func noise(seed byte, size int) []byte {
	content := make([]byte, size)
	state := uint32(seed) + 1
	for i := range content {
		state = state*1664525 + 1013904223
		content[i] = byte(state >> 24)
	}
	return content
}

// trees opens directories until the test ends.
func trees(t testing.TB, dirs ...string) (list []dedup.Tree) {
	t.Helper()
	for _, path := range dirs {
		dir, err := beneath.Open(path)
		must(t, err)
		t.Cleanup(func() { must(t, dir.Close()) })
		list = append(list, dedup.Tree{Name: filepath.Base(path), Dir: dir})
	}
	return list
}

// run lets the files below directories share, without an error.
func run(t testing.TB, options dedup.Options, dirs ...string) dedup.Result {
	t.Helper()
	result, err := dedup.Run(t.Context(), trees(t, dirs...), options)
	must(t, err)
	return result
}

// extents returns where on the disk a file is.
func extents(t testing.TB, path string) string {
	t.Helper()
	testutil.NeedTool(t, "filefrag")
	out, err := exec.CommandContext(t.Context(), "filefrag", "-s", "-v", path).Output()
	must(t, err)
	var places []string
	for _, m := range regexp.MustCompile(`(?m)^ +\d+: +(\d+\.\. +\d+): +(\d+\.\. +\d+):`).FindAllSubmatch(out, -1) {
		places = append(places, string(bytes.Join(m[1:], []byte(" at "))))
	}
	return strings.Join(places, ", ")
}

// wantShared checks whether two files are at the same place of the disk.
func wantShared(t testing.TB, want bool, a, b string) {
	t.Helper()
	first, second := extents(t, a), extents(t, b)
	if first == "" || (first == second) != want {
		t.Errorf("%s is at %q, %s at %q: shared should be %v", a, first, b, second, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
