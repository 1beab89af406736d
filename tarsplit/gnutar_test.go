package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

func TestArchivesOfGNUTarAreReproduced(t *testing.T) {
	testutil.NeedTool(t, "tar")
	plain, sparse := plainTree(t), sparseTree(t)
	for _, options := range []string{
		"--format=v7", "--format=oldgnu", "--format=gnu", "--format=ustar", "--format=pax", "--format=pax --xattrs",
		"--format=gnu --blocking-factor=1", "--format=pax --blocking-factor=200", "--format=gnu --label=volume",
		"--format=gnu --incremental", "--format=pax --pax-option=globexthdr.comment=everything,comment:=each",
		"--format=gnu --absolute-names --hard-dereference",
	} {
		t.Run(options, func(t *testing.T) { checkGNUTar(t, plain, options) })
	}
	for _, options := range []string{
		"--format=oldgnu --sparse", "--format=gnu --sparse", "--format=pax --sparse --sparse-version=0.0",
		"--format=pax --sparse --sparse-version=0.1", "--format=pax --sparse --sparse-version=1.0",
	} {
		t.Run(options, func(t *testing.T) {
			if stream := checkGNUTar(t, sparse, options); len(stream) > 1<<20 {
				t.Errorf("%d bytes: the archive is not sparse", len(stream))
			}
		})
	}
}

// checkGNUTar makes an archive of a tree, records it and replays it from the
// same tree.
func checkGNUTar(t *testing.T, dir, options string) []byte {
	t.Helper()
	args := append(strings.Fields(options), "--create", "--file=-", "--directory="+dir, ".")
	stream, err := exec.CommandContext(t.Context(), "tar", args...).Output()
	if err != nil && len(stream) == 0 {
		t.Fatal(err)
	}
	got, err := replay(t, mustRecord(t, stream), directory(dir))
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, stream)
	return stream
}

// directory opens files below a directory, with care enough for tests.
type directory string

func (d directory) Open(name string) (*os.File, error) {
	path := filepath.Join(string(d), strings.TrimPrefix(name, string(d)))
	return os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// plainTree makes files whose names fit the oldest format.
func plainTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a": "text", "empty": "", "sub/block": noise(512), "sub/large": noise(1_500_000), "sub/.wh.gone": "", ".wh.odd": "with content",
	} {
		writeFile(t, filepath.Join(dir, name), content)
	}
	for _, err := range []error{
		os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "z-hard")),
		os.Symlink("sub/../a", filepath.Join(dir, "soft")),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(filepath.Join(dir, "a"), "user.note", []byte("\x00binary\n"), 0); err != nil {
		t.Logf("without extended attributes: %v", err)
	}
	return dir
}

// sparseTree makes files with holes in every place.
func sparseTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	const hole = 1 << 20
	for name, parts := range map[string][]int64{ // offsets of data
		"front": {hole}, "middle": {0, hole}, "many": {hole, 2 * hole, 3 * hole, 4 * hole, 5 * hole, 6 * hole, 7 * hole}, "only": {},
		strings.Repeat("long", 40): {hole / 2, hole},
	} {
		path := filepath.Join(dir, name)
		writeFile(t, path, "")
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range parts {
			if _, err := file.WriteAt([]byte(noise(5000)), at); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Truncate(8 * hole); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "dense"), noise(3000))
	return dir
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSparseFilesAreRecordedWithTheirContent(t *testing.T) {
	testutil.NeedTool(t, "tar")
	dir := sparseTree(t)
	stream, err := exec.CommandContext(t.Context(), "tar", "--format=pax", "--sparse", "--create", "--file=-", "--directory="+dir, "middle").Output()
	if err != nil {
		t.Fatal(err)
	}
	if hdr, err := tar.NewReader(bytes.NewReader(stream)).Next(); err != nil || hdr.Size != 8<<20 {
		t.Fatalf("not a sparse file: %v, %v", hdr, err)
	}
	got, err := replay(t, mustRecord(t, stream), files{}) // no file is needed
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, stream)
}
