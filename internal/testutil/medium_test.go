package testutil_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

func TestReadOnlyHasWhatWasPutThereAndNothingElse(t *testing.T) {
	for _, kind := range testutil.Media() {
		t.Run(kind, func(t *testing.T) {
			var dir string
			t.Run("mounted", func(t *testing.T) {
				var want testutil.Listing
				dir = testutil.ReadOnly(t, kind, func(dir string) {
					testutil.Tree(t, dir, 5)
					want = testutil.Snapshot(t, dir)
				})
				got := testutil.Snapshot(t, dir)
				delete(want, ".") // It may be the root of another file system.
				delete(got, ".")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("want (-), got (+):\n%s", diff)
				}
				if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); !errors.Is(err, unix.EROFS) {
					t.Errorf("writing: got %v, want EROFS", err)
				}
			})
			if dir != "" {
				checkGone(t, dir)
			}
		})
	}
}
