package drivertest

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
)

// TestDamagedOtherHomesAreReadOrRefused and nothing in between. Nothing is
// mended there.
func (s suite) TestDamagedOtherHomesAreReadOrRefused(t *testing.T) {
	ids := []string{"base", "middle", "top"}
	for _, damage := range s.traits.Damages {
		t.Run(damage.Name, func(t *testing.T) {
			all := s.openAll(t, s.traits.Dir(t), "ours", "theirs")
			ours, theirs := all[0], all[1]
			parent := ""
			for _, id := range ids {
				theirs.create(id, parent)
				theirs.write(id, id, "of "+id)
				parent = id
			}
			ours.create("child", "top")
			damage.Do(t, theirs.config.Home)
			before := testutil.Snapshot(t, theirs.config.Home)
			ours.readOrRefused(damage.Want, "top", ids)
			ours.readOrRefused(damage.Want, "child", ids)
			err := ours.driver.Create(t.Context(), "another", "top", drivers.CreateOptions{})
			switch {
			case err == nil:
				ours.readOrRefused(damage.Want, "another", ids)
			case damage.Want == nil || !errors.Is(err, damage.Want):
				t.Errorf("another layer on top: got %v, want %v", err, damage.Want)
			}
			if diff := cmp.Diff(before, testutil.Snapshot(t, theirs.config.Home)); diff != "" {
				t.Errorf("the other home has changed:\n%s", diff)
			}
			ours.wantNoMountPoints("top")
			for _, id := range ids {
				theirs.remove(id)
			}
		})
	}
}

// readOrRefused mounts a layer after a damage, which may not concern it, and
// looks for the files of the layers below it. The error may be want.
func (h *harness) readOrRefused(want error, id string, below []string) {
	h.Helper()
	path, err := h.driver.Mount(h.Context(), id, drivers.MountOptions{ReadOnly: true})
	if err != nil {
		if want == nil || !errors.Is(err, want) {
			h.Errorf("%s: got %v, want %v or none", id, err, want)
		}
		return
	}
	for _, layer := range below {
		if got := readFile(h, filepath.Join(path, layer)); got != "of "+layer {
			h.Errorf("%s: file of %s contains %q", id, layer, got)
		}
	}
	h.unmount(id)
}
