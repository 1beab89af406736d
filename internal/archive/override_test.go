package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
)

func TestUnpackForcesModesAndTakesNoOverridesFromTheArchive(t *testing.T) {
	const attr = "user.elsewhere"
	dir, mask := t.TempDir(), uint32(0o750)
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: "file", Mode: 0o4711,
		PAXRecords: map[string]string{"SCHILY.xattr." + archive.OverrideAttr: "0:0:0777", "SCHILY.xattr." + attr: "0:0:0777", "SCHILY.xattr.user.kept": "1"},
	}
	var stream bytes.Buffer
	w := tar.NewWriter(&stream)
	if err := errors.Join(w.WriteHeader(header), w.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := archive.Unpack(t.Context(), dir, tar.NewReader(&stream), archive.UnpackOptions{ForceMask: &mask, OverrideAttr: attr})
	if err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := unix.Stat(dir+"/file", &stat); err != nil || stat.Mode != unix.S_IFREG|mask {
		t.Errorf("mode is %o, %v", stat.Mode, err)
	}
	value := make([]byte, 100)
	for name, want := range map[string]string{attr: "0:0:4711:file", "user.kept": "1"} {
		if n, err := unix.Getxattr(dir+"/file", name, value); err != nil || string(value[:n]) != want {
			t.Errorf("%s is %q, %v", name, value[:max(n, 0)], err)
		}
	}
	if _, err := unix.Getxattr(dir+"/file", archive.OverrideAttr, value); !errors.Is(err, unix.ENODATA) {
		t.Errorf("the archive's override is there: %v", err)
	}
}
