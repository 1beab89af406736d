package overlay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
)

// Layers in the homes of other stores are used where they are, but nothing is
// made there: what else a mount needs is below the driver's directory for what
// need not survive a reboot.

// sharedEmptyDir is the lower directory of layers in homes of other stores that
// have nothing below them. No layer's name begins with a dot.
const sharedEmptyDir = ".empty"

// find opens the directory of a layer, which may be in the home of another
// store.
func (d *Driver) find(id string) (*drivers.Located, error) {
	layer, err := d.homes.Find(id)
	if err != nil || !layer.Foreign {
		return layer, err
	}
	if err := d.checkMark(layer.Home); err != nil {
		return nil, errors.Join(err, layer.Close())
	}
	return layer, nil
}

// point opens the directory in which the mount point of a layer is, or is to
// be: that of the layer, or one in the run home.
func (d *Driver) point(layer *drivers.Located) (_ *at.Dir, err error) {
	if !layer.Foreign {
		return layer.Sub(".")
	}
	run, err := d.openRunHome()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	if err := makePrivate(run, layer.ID); err != nil {
		return nil, err
	}
	dir, err := run.Sub(layer.ID)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(dir, mergedDir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// openEmpty opens the lower directory for layers in homes of other stores.
func (d *Driver) openEmpty() (empty content, err error) {
	run, err := d.openRunHome()
	if err != nil {
		return empty, err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	if err := makePrivate(run, sharedEmptyDir); err != nil {
		return empty, err
	}
	empty.short = run.Path(sharedEmptyDir)
	empty.Dir, err = run.Sub(sharedEmptyDir)
	return empty, err
}

// openRunHome opens the run home, which is made if need be.
func (d *Driver) openRunHome() (*at.Dir, error) {
	if err := os.MkdirAll(d.runHome, 0o700); err != nil {
		return nil, err
	}
	return at.Open(d.runHome)
}

// makePrivate makes a directory that nobody else may enter, unless it exists.
func makePrivate(in *at.Dir, name string) error {
	if err := in.Mkdir(name, 0o700, os.Geteuid(), os.Getegid()); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// onPointElsewhere calls f with the directory in the run home in which the mount
// point of a layer is, if there is one.
func (d *Driver) onPointElsewhere(id string, f func(run, point *at.Dir) error) (found bool, err error) {
	if err := drivers.CheckLayer(id); err != nil {
		return false, err
	}
	run, err := at.Open(d.runHome)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	point, err := run.Sub(id)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, point.Close()) }()
	return true, f(run, point)
}

// pointElsewhere returns the path of the mount point of a layer that is not in
// the driver's own home.
func (d *Driver) pointElsewhere(id string) string { return filepath.Join(d.runHome, id, mergedDir) }

// mountedElsewhere tells whether a layer that is not in the driver's own home is
// mounted. If it is, it does not matter that its home may be gone.
func (d *Driver) mountedElsewhere(id string) (mounted bool, err error) {
	_, err = d.onPointElsewhere(id, func(_, point *at.Dir) error {
		mounted, err = isMounted(point)
		return err
	})
	if err == nil && !mounted {
		err = d.homes.Need(id)
	}
	return mounted, err
}

// unmountElsewhere detaches the mount of a layer that is not in the driver's own
// home, which may be gone by now, and removes the mount point.
func (d *Driver) unmountElsewhere(id string) error {
	found, err := d.onPointElsewhere(id, func(run, point *at.Dir) error {
		if err := detach(point); err != nil {
			return fmt.Errorf("unmounting: %w", err)
		}
		// Somebody may have put something there.
		for _, err := range []error{point.Remove(mergedDir), run.Remove(id)} {
			if err != nil && !errors.Is(err, unix.ENOTEMPTY) {
				return fmt.Errorf("mount point: %w", err)
			}
		}
		return nil
	})
	if err == nil && !found {
		err = d.homes.Need(id)
	}
	return err
}
