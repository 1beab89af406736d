package overlay_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/drivertest"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) {
	drivertest.Main(m, testutil.Entries{"rootless": rootless, "unprivileged": unprivileged})
}

// on returns a function for Traits.Dir.
func on(fs string) func(t testing.TB) string {
	return func(t testing.TB) string {
		t.Helper()
		return testutil.SharedLoop(t, fs)
	}
}

func traits(fs string) drivertest.Traits {
	return drivertest.Traits{
		Dir:        on(fs),
		MaxDepth:   500,
		LinksBreak: true,
		Status: []string{
			"Backing Filesystem", "Supports d_type", "Native Overlay Diff", "Using metacopy", "Supports shifting", "Supports volatile",
		},
		GoodOptions: [][]string{
			{"overlay.mountopt=nodev"},
			{"overlay2.mountopt=nodev,metacopy=on", ".skip_mount_home=true"},
			{"overlay.size=0", "overlay.inodes=0"},
			{" IGNORE_chown_errors = 1", "overlay.override_kernel_check=whatever"},
			{"mountopt=nodev", "overlay.mountopt=nosuid,redirect_dir=on,noatime"},
		},
		BadOptions: map[string]error{
			"overlay.mountopt=lowerdir=/etc":      model.ErrInvalid,
			"overlay.ignore_chown_errors=perhaps": model.ErrInvalid,
			"vfs.ignore_chown_errors=true":        model.ErrInvalid,
			"overlay.skip_mount_home=2":           model.ErrInvalid,
			"overlay.mount_program=/no/such/fuse": model.ErrInvalid,
			"overlay.size=10g":                    model.ErrUnsupported, // the file system has no quotas
			"overlay.inodes=10":                   model.ErrUnsupported,
			"overlay.size=much":                   model.ErrInvalid,
			"overlay.force_mask=public":           model.ErrInvalid,
			"overlay.use_composefs=true":          model.ErrUnsupported,
			"overlay.additionallayerstore=/x":     model.ErrUnsupported,
			".imagestore=/x":                      model.ErrUnsupported,
			"overlay.additionalimagestore=/x":     model.ErrUnsupported,
		},
		Damages: damages(),
	}
}

func TestConformance(t *testing.T) {
	for _, fs := range testutil.Filesystems() {
		t.Run(fs, func(t *testing.T) { drivertest.Run(t, overlay.Open, traits(fs)) })
	}
}

func TestConformanceWithTheOldSystemCall(t *testing.T) {
	drivertest.Run(t, overlay.OpenClassic, traits("ext4"))
}

// TestConformanceWithoutShortcuts tests what the package drivers does for
// drivers that implement nothing but drivers.Driver.
func TestConformanceWithoutShortcuts(t *testing.T) {
	traits := traits("ext4")
	traits.OneReader = true
	traits.Damages = nil // nothing is different
	drivertest.Run(t, drivertest.Plain(overlay.Open), traits)
}

// TestConformanceWithMetacopy tests mounts whose upper directories do not tell
// all changes by themselves.
func TestConformanceWithMetacopy(t *testing.T) {
	traits := traits("xfs")
	traits.Damages = nil
	drivertest.Run(t, func(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
		config.Options = append([]string{"overlay.mountopt=metacopy=on"}, config.Options...)
		return overlay.Open(ctx, config)
	}, traits)
}

func matches(t testing.TB, home, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(home, pattern))
	must(t, err)
	if len(paths) == 0 {
		t.Fatalf("nothing matches %s", pattern)
	}
	return paths
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr checks what an error matches.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
