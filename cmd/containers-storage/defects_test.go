package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Most defects of containers/storage have tests where the part of this project
// is that could have them: docs/compatibility.md lists them. These are about what
// several parts do together.

func TestSizesAreThoseOfTheLastDiff(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-layer", "-i", "layer")
		for _, name := range []string{"base.tar.gz", "top.tar", "base.tar.xz"} {
			info, err := os.Stat(testFile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			s.ok(t, "apply-diff", "-f", testFile(t, name), "layer")
			if got := s.layerFields(t, "layer"); got.CompressedSize != info.Size() {
				t.Errorf("after %s: compressed size %d instead of %d", name, got.CompressedSize, info.Size())
			}
		}
	})
}

func TestNothingOfADeletedContainerIsInTheRunRoot(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		for _, end := range [][]string{{"delete-container", "container"}, {"delete", "container"}, {"wipe"}} {
			s.ok(t, "create-image", "-i", "image", "")
			s.ok(t, "create-container", "-i", "container", "image")
			var dirs []string
			for _, object := range []string{"image", "container"} {
				for _, command := range []string{"get-" + object + "-dir", "get-" + object + "-run-dir"} {
					dir := s.line(t, command, object)
					writeFile(t, filepath.Join(dir, "file"), "text")
					dirs = append(dirs, dir)
				}
			}
			s.ok(t, end...)
			if end[0] != "wipe" {
				s.ok(t, "delete", "image")
			}
			for _, dir := range dirs {
				if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%q left %s: %v", end, dir, err)
				}
			}
		}
	})
}

func TestNamesThatWereTakenStayTaken(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "create-container", "-i", "lasting", "-n", "name", "")
		s.ok(t, "create-container", "-i", "volatile", "--volatile", "")
		for _, holder := range []string{"volatile", "lasting", "volatile"} {
			s.ok(t, "add-names", "-n", "name", holder)
			for _, container := range []string{"volatile", "lasting"} {
				want := ""
				if container == holder {
					want = "name\n"
				}
				s.wantOutput(t, want, "get-names", container)
			}
			if got := lines(s.ok(t, "container", "name"))[0]; got != "ID: "+holder {
				t.Errorf("the name is that of %q instead of %s", got, holder)
			}
		}
	})
}

// TestDriversUnpackAlike is about archives that mean what a reader makes of
// them.
func TestDriversUnpackAlike(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		s.ok(t, "import-layer", "-i", "base", "-f", testFile(t, "base.tar"))
		// The root itself, a file and a whiteout of it in one layer, and what was
		// AUFS's own, of which only the hard links are files like others.
		archive := s.file(t, "odd.tar", tarOfHeaders(t,
			tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o751},
			tar.Header{Name: "new", Mode: 0o644}, tar.Header{Name: ".wh.new", Mode: 0o644},
			tar.Header{Name: ".wh.a", Mode: 0o644},
			tar.Header{Name: ".wh..wh.plnk/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: ".wh..wh.aufs", Mode: 0o644},
		))
		s.ok(t, "import-layer", "-i", "odd", "-f", archive, "base")
		s.wantFilesIn(t, "odd", ".wh..wh.plnk", "new", "sub")
		dir := s.line(t, "mount", "odd")
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o751 {
			t.Errorf("the root directory: %v, %v", info.Mode(), err)
		}
		s.ok(t, "unmount", "odd")
		wantSame(t, archive, s.stdout(t, "diff", "odd"))
	})
}

// tarOfHeaders returns an archive of empty files.
func tarOfHeaders(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	var archive strings.Builder
	w := tar.NewWriter(&archive)
	for _, header := range headers {
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.String()
}

// layerFields is what tests want to know of a layer.
type layerFields struct {
	CompressedSize int64 `json:"compressed-size"`
}

func (s script) layerFields(t *testing.T, id string) layerFields {
	t.Helper()
	var layers []layerFields
	if err := json.Unmarshal([]byte(s.ok(t, "layer", "-j", id)), &layers); err != nil || len(layers) != 1 {
		t.Fatalf("%v: %v", layers, err)
	}
	return layers[0]
}
