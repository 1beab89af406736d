package overlay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
)

// TestLeftoversChangeWhileTheyAreLookedFor makes and removes short names between
// the opening of an inspection and its end, as programs do that work in a store.
func TestLeftoversChangeWhileTheyAreLookedFor(t *testing.T) {
	home := t.TempDir()
	name := func(letter string) string { return filepath.Join(home, "l", strings.Repeat(letter, 26)) }
	steps := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	steps(os.MkdirAll(filepath.Join(home, "l"), 0o700), os.Mkdir(filepath.Join(home, "ours"), 0o700), os.Symlink("../gone/diff", name("A")))
	inspector, err := overlay.Inspect(t.Context(), home, nil)
	steps(err)
	defer inspector.Close()
	steps(os.Symlink("../ours/diff", name("B")), os.Symlink("../nobodys/diff", name("C")), os.Remove(name("A")))
	var got []string
	belongs := func(dir string) (bool, error) { return dir == "ours", nil }
	steps(inspector.Leftovers(t.Context(), belongs, func(left drivers.Leftover) error {
		got = append(got, left.Path+" "+left.Dir)
		return nil
	}))
	if diff := cmp.Diff([]string{"l/" + strings.Repeat("C", 26) + " nobodys"}, got); diff != "" {
		t.Error(diff)
	}
}
