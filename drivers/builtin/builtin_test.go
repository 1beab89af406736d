package builtin_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) { testutil.Main(m, nil) }

func TestDriversAreTriedInOrder(t *testing.T) {
	if got, want := builtin.Registry().Names(), []string{"overlay", "vfs"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEveryDriverHasItsName(t *testing.T) {
	for _, name := range builtin.Registry().Names() {
		t.Run(name, func(t *testing.T) {
			if name == "overlay" {
				testutil.NeedRoot(t)
			}
			dir := testutil.SharedLoop(t, "ext4")
			driver, err := builtin.Registry().Open(t.Context(), drivers.Spec{Root: dir, RunRoot: dir + "/run", Name: name})
			must(t, err)
			if driver.Name() != name {
				t.Errorf("driver calls itself %q", driver.Name())
			}
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
			must(t, driver.Close(t.Context()))
		})
	}
}

func TestOldNameOfOverlay(t *testing.T) {
	if name, err := builtin.Registry().Canonical("overlay2"); err != nil || name != "overlay" {
		t.Errorf("got %q, %v", name, err)
	}
	if _, err := builtin.Registry().Canonical("devicemapper"); !errors.Is(err, model.ErrDriverNotSupported) {
		t.Errorf("got %v, want ErrDriverNotSupported", err)
	}
}

// An overlay cannot be put on another one, but copies can.
func TestLastResortIsUsedWhereOverlayCannot(t *testing.T) {
	testutil.NeedRoot(t)
	dir := testutil.SharedLoop(t, "ext4")
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	root := filepath.Join(dir, "merged")
	must(t, unix.Mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)))
	t.Cleanup(func() { must(t, unix.Unmount(root, unix.MNT_DETACH)) })
	for range 2 { // the second time there is content of vfs only
		driver, err := builtin.Registry().Open(t.Context(), drivers.Spec{Root: root, RunRoot: dir + "/run"})
		must(t, err)
		if driver.Name() != "vfs" {
			t.Errorf("got %s", driver.Name())
		}
		must(t, driver.Close(t.Context()))
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("root contains %v, %v", entries, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
