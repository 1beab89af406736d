package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/compress"
)

// Three layers: the second deletes some of what the first has, whole trees
// among it, and the third makes some of that again.
var threeLayers = []struct {
	remove, make []string // what is made and ends in "/" is a directory
	changes      []string
	entries      []string // of the diff
}{
	{
		make: []string{
			"f1", "f2", "f3", "d1/", "d2/", "d3/", "d4/", "d4/x", "d5/", "d5/y",
			"d6/", "d6/in/", "d6/in/z", "d7/", "d7/a", "d7/c", "d8/", "d8/b",
		},
		changes: []string{
			`Add "/d1"`, `Add "/d2"`, `Add "/d3"`, `Add "/d4"`, `Add "/d4/x"`, `Add "/d5"`, `Add "/d5/y"`, `Add "/d6"`, `Add "/d6/in"`,
			`Add "/d6/in/z"`, `Add "/d7"`, `Add "/d7/a"`, `Add "/d7/c"`, `Add "/d8"`, `Add "/d8/b"`, `Add "/f1"`, `Add "/f2"`, `Add "/f3"`,
		},
		entries: []string{
			"d1/", "d2/", "d3/", "d4/", "d4/x", "d5/", "d5/y", "d6/", "d6/in/", "d6/in/z", "d7/", "d7/a", "d7/c", "d8/", "d8/b", "f1", "f2", "f3",
		},
	},
	{
		remove: []string{"f1", "f2", "d1", "d2", "d4", "d5", "d6", "d8"},
		make:   []string{"n1", "n2/", "n3/", "n3/p", "n4/", "n4/q"},
		changes: []string{
			`Delete "/f1"`, `Delete "/f2"`, `Delete "/d1"`, `Delete "/d2"`, `Delete "/d4"`, `Delete "/d5"`, `Delete "/d6"`, `Delete "/d8"`,
			`Add "/n1"`, `Add "/n2"`, `Add "/n3"`, `Add "/n3/p"`, `Add "/n4"`, `Add "/n4/q"`,
		},
		entries: []string{
			".wh.f1", ".wh.f2", ".wh.d1", ".wh.d2", ".wh.d4", ".wh.d5", ".wh.d6", ".wh.d8", "n1", "n2/", "n3/", "n3/p", "n4/", "n4/q",
		},
	},
	{
		make: []string{"f1", "d1/", "d4/", "d4/x", "d6/", "d6/r", "d7/new/", "g1"},
		changes: []string{
			`Add "/f1"`, `Add "/d1"`, `Add "/d4"`, `Add "/d4/x"`, `Add "/d6"`, `Add "/d6/r"`, `Modify "/d7"`, `Add "/d7/new"`, `Add "/g1"`,
		},
		entries: []string{"f1", "d1/", "d4/", "d4/x", "d6/", "d6/r", "d7/", "d7/new/", "g1"},
	},
}

// populate makes the three layers by hand and returns their IDs. They stay
// mounted.
func (s script) populate(t *testing.T) []string {
	t.Helper()
	var ids []string
	parent := ""
	for i, layer := range threeLayers {
		parent = s.line(t, "create-layer", parent)
		ids = append(ids, parent)
		dir := s.line(t, "mount", parent)
		for _, name := range layer.remove {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range layer.make {
			if !strings.HasSuffix(name, "/") {
				writeFile(t, filepath.Join(dir, name), strings.Repeat(strconv.Itoa(i), 1024))
			} else if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return ids
}

// wantThreeLayers compares the layers with what they should be.
func (s script) wantThreeLayers(t *testing.T, ids []string) {
	t.Helper()
	for i, want := range threeLayers {
		s.wantLines(t, want.changes, "changes", ids[i])
		wantEntries(t, want.entries, s.stdout(t, "diff", "-u", ids[i]))
		if size, err := strconv.Atoi(s.line(t, "diffsize", ids[i])); err != nil || size == 0 {
			t.Errorf("layer %d: diffsize %d, %v", i+1, size, err)
		}
	}
}

// wantEntries compares the names of the entries of an archive with the wanted
// ones, in any order.
func wantEntries(t *testing.T, want []string, archive []byte) {
	t.Helper()
	var got []string
	entries := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, header.Name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
		t.Errorf("entries of the diff (-want +got):\n%s", diff)
	}
}

func TestScriptComparesLayers(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		ids := s.populate(t)
		s.wantThreeLayers(t, ids) // mounted
		for _, id := range ids {
			s.wantOutput(t, id+" mountpoint unmounted\n", "unmount", id)
		}
		s.wantThreeLayers(t, ids)
	})
}

func TestScriptCopiesLayersByTheirDiffs(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		ids := s.populate(t)
		s.ok(t, append([]string{"unmount"}, ids...)...)
		var plain, zipped []string
		for i, id := range ids {
			tarball, gzipped := s.path(fmt.Sprintf("%d.tar", i)), s.path(fmt.Sprintf("%d.tar.gz", i))
			s.wantOutput(t, "", "diff", "-u", "-f", tarball, id)
			s.wantOutput(t, "", "diff", "-c", "--file="+gzipped, id)
			plain = append(plain, s.line(t, "create-layer", parentOf(plain)))
			s.wantOutput(t, "", "applydiff", "-f", tarball, plain[i])
			zipped = append(zipped, s.line(t, "import-layer", "-f", gzipped, parentOf(zipped)))
			wantSame(t, tarball, s.stdout(t, "diff", plain[i]))
			wantSame(t, tarball, s.stdout(t, "diff", "-u", zipped[i]))
			wantGzip(t, tarball, s.stdout(t, "diff", zipped[i]))
		}
		s.wantThreeLayers(t, plain)
		s.wantThreeLayers(t, zipped)
	})
}

// parentOf returns the last one of a chain of layers.
func parentOf(chain []string) string {
	if len(chain) == 0 {
		return ""
	}
	return chain[len(chain)-1]
}

func wantSame(t *testing.T, path string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%d bytes that are not the %d of %s", len(got), len(want), path)
	}
}

func wantGzip(t *testing.T, path string, got []byte) {
	t.Helper()
	plain, kind, err := compress.NewReader(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(plain)
	if err := errors.Join(err, plain.Close()); err != nil || kind.String() != "gzip" {
		t.Errorf("compression %s, %v", kind, err)
	}
	wantSame(t, path, unzipped)
}

func TestScriptAppliesToAMountedLayer(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		dir := s.line(t, "mount", layer)
		s.wantOutput(t, "", "apply-diff", "-f", testFile(t, "base.tar.xz"), layer)
		if text, err := os.ReadFile(filepath.Join(dir, "sub", "b")); err != nil || string(text) != "more\n" {
			t.Errorf("the mount does not show the new file: %q, %v", text, err)
		}
	})
}

func TestScriptRefusesJunk(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		s.wantOutput(t, "", "apply-diff", "-f", testFile(t, "base.tar"), layer)
		before := s.ok(t, "layer", "-j", layer)
		for _, extension := range []string{"", ".gz", ".bz2", ".xz", ".zst"} {
			s.wantFailure(t, "unexpected EOF", "apply-diff", "-f", testFile(t, "junk-short"+extension), layer)
			s.wantFailure(t, "invalid tar header", "apply-diff", "-f", testFile(t, "junk-long"+extension), layer)
		}
		s.wantOutput(t, before, "layer", "-j", layer)
		wantSame(t, testFile(t, "base.tar"), s.stdout(t, "diff", layer))
		s.wantOutput(t, "", "apply-diff", "-f", testFile(t, "top.tar"), layer)
		s.wantLines(t, []string{`Add "/c"`, `Add "/sub"`, `Add "/sub/b"`}, "changes", layer)
	})
}

// testFile returns the path of a file in testdata/files, from everywhere.
func testFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "files", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScriptStacksManyLayers(t *testing.T) {
	t.Parallel()
	forEachStore(t, func(t *testing.T, s script) {
		// More than fits into one page of mount options, unless the paths in
		// them are short. Without mounts a chain is much like another.
		depth := map[string]int{"overlay": 301, "vfs": 31}[s.driver]
		parent := ""
		for i := range depth {
			id := fmt.Sprintf("layer-%03d", i)
			// So many processes would take long.
			r := runHere(t.Context(), nil, tarOf(t, id), append([]string{programName}, s.withRoots([]string{"import-layer", "-i", id, parent})...))
			if r != (result{stdout: id + "\n"}) {
				t.Fatalf("import of %s: %+v", id, r)
			}
			parent = id
		}
		s.ok(t, "create-image", "-n", "image", parent)
		container := s.line(t, "create-container", "image")
		if all := lines(s.ok(t, "layers", "-q")); len(all) != depth+1 {
			t.Errorf("there are %d layers instead of %d", len(all), depth+1)
		}
		for _, mount := range [][]string{{"mount", "-r", "image"}, {"mount", parent}, {"mount", container}} {
			entries, err := os.ReadDir(s.line(t, mount...))
			if err != nil || len(entries) != depth {
				t.Errorf("%q shows %d files instead of %d: %v", mount, len(entries), depth, err)
			}
		}
	})
}

// tarOf returns an archive with an empty file.
func tarOf(t *testing.T, name string) string {
	t.Helper()
	var archive strings.Builder
	w := tar.NewWriter(&archive)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}), w.Close()); err != nil {
		t.Fatal(err)
	}
	return archive.String()
}
