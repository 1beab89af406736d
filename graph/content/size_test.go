package content_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSizeCountsFilesAndDirectories(t *testing.T) {
	files, root := open(t)
	create(t, files, "area/id/key", "four")
	for name, size := range map[string]int{"area/id/.tmp-key": 10, "area/id/userdata/a/b": 100} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(root, name), make([]byte, size), 0o600))
	}
	must(t, os.Symlink("/etc/passwd", filepath.Join(root, "area/id/link")))
	for name, want := range map[string]int64{"area/id/key": 14, "area/id/userdata": 100, "area/id/link": 0, "area/id/gone": 0, "area/gone/key": 0} {
		if got, err := files.Size(t.Context(), name); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", name, got, err, want)
		}
	}
	if _, err := files.Size(t.Context(), "../id/key"); err == nil {
		t.Error("a path that leads out was accepted")
	}
}
