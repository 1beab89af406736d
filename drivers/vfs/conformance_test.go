package vfs_test

import (
	"testing"

	"github.com/csdb/csdb/drivers/drivertest"
	"github.com/csdb/csdb/drivers/vfs"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) { drivertest.Main(m, testutil.Entries{"user": plainUser}) }

func traits() drivertest.Traits {
	return drivertest.Traits{
		NoMounts:      true,
		WritableViews: true,
		GoodOptions:   [][]string{{"vfs.ignore_chown_errors=true", " .Ignore_Chown_Errors = 0 "}},
		BadOptions: map[string]error{
			"vfs.mountopt=nodev":         model.ErrInvalid,
			"overlay.mountopt=nodev":     model.ErrInvalid,
			"ignore_chown_errors=true":   model.ErrInvalid,
			".ignore_chown_errors=maybe": model.ErrInvalid,
			"vfs.imagestore=/x":          model.ErrUnsupported,
		},
	}
}

func TestConformance(t *testing.T) {
	for _, fs := range append(testutil.Filesystems(), "tmpfs") {
		t.Run(fs, func(t *testing.T) {
			traits := traits()
			traits.Dir = func(t testing.TB) string {
				t.Helper()
				if fs == "tmpfs" {
					return testutil.Tmpfs(t)
				}
				return testutil.SharedLoop(t, fs)
			}
			drivertest.Run(t, vfs.Open, traits)
		})
	}
}

// TestConformanceWithoutShortcuts tests what package drivers does for drivers
// that implement nothing but drivers.Driver.
func TestConformanceWithoutShortcuts(t *testing.T) {
	drivertest.Run(t, drivertest.Plain(vfs.Open), traits())
}
