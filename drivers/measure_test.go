package drivers_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/drivers"
)

func TestMeasureCountsAllThatBelongsToALayer(t *testing.T) {
	home := t.TempDir()
	for name, size := range map[string]int{
		"layer/diff/a": 1, "layer/link": 10, "layer/merged/b": 100, "layer/diff/merged/c": 1000, ".part-layer/d": 10_000, "other/e": 100_000,
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(home, name), make([]byte, size), 0o600))
	}
	must(t, os.Symlink("other", filepath.Join(home, "linked")))
	layers, err := drivers.OpenLayerDirs(home)
	must(t, err)
	defer layers.Close()
	for id, want := range map[string]int64{"layer": 11_011, "gone": 0, "linked": 0} {
		if got, err := layers.Measure(t.Context(), id, "merged"); got != want || err != nil {
			t.Errorf("%s: got %d, %v; want %d", id, got, err, want)
		}
	}
	if _, err := layers.Measure(t.Context(), "../other"); err == nil {
		t.Error("a name that leads out was accepted")
	}
}
