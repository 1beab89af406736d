package vfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/selinux/go-selinux"
	"github.com/opencontainers/selinux/go-selinux/label"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// Name is the name of the driver.
const Name = "vfs"

// layersDir is where the layers are in the home.
const layersDir = "dir"

// baseMode is the mode of the root directory of a layer without parent, see
// the package's comment.
const baseMode = 0o755

// Driver is the driver for one home. It holds no state of layers: any number
// of processes may use a home.
type Driver struct {
	layers  *drivers.LayerDirs // of its own home
	homes   *drivers.Homes     // that and those of other stores
	options options
	// lenient: a process without the privileges of root cannot make devices
	// and some attributes, and does without.
	lenient bool
}

// The driver can do more than it must.
var (
	_ drivers.Driver        = (*Driver)(nil)
	_ drivers.Applier       = (*Driver)(nil)
	_ drivers.Viewer        = (*Driver)(nil)
	_ drivers.ContentDriver = (*Driver)(nil)
	_ drivers.ParentCopier  = (*Driver)(nil)
	_ drivers.Replacer      = (*Driver)(nil)
	_ drivers.CreateChecker = (*Driver)(nil)
)

// Open opens the driver. It implements drivers.Constructor.
func Open(_ context.Context, config drivers.Config) (drivers.Driver, error) {
	opts, err := parseOptions(config.Options)
	if err != nil {
		return nil, err
	}
	rootless, err := drivers.InUserNamespace()
	if err != nil {
		return nil, err
	}
	// The paths that Mount returns are good wherever the process goes.
	home, err := filepath.Abs(config.Home)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(home, layersDir), 0o700); err != nil {
		return nil, err
	}
	layers, err := drivers.OpenLayerDirs(filepath.Join(home, layersDir))
	if err != nil {
		return nil, err
	}
	homes, err := drivers.NewHomes(layers, inHomes(config.Others))
	if err != nil {
		return nil, errors.Join(err, layers.Close())
	}
	return &Driver{layers: layers, homes: homes, options: opts, lenient: rootless || os.Geteuid() != 0}, nil
}

// inHomes returns the directories of layers in homes.
func inHomes(homes []string) []string {
	dirs := make([]string, len(homes))
	for i, home := range homes {
		dirs[i] = filepath.Join(home, layersDir)
	}
	return dirs
}

// Name implements drivers.Driver.
func (d *Driver) Name() string { return Name }

// Create makes the layer a copy of its parent.
func (d *Driver) Create(ctx context.Context, id, parent string, opts drivers.CreateOptions) error {
	if err := d.CheckCreate(opts); err != nil {
		return err
	}
	owner, err := drivers.Root(opts.UIDMap, opts.GIDMap)
	if err != nil {
		return err
	}
	if parent != "" {
		if err := d.homes.Need(parent); err != nil {
			return fmt.Errorf("parent: %w", err)
		}
	}
	if err := d.homes.Vacant(id); err != nil {
		return err
	}
	return d.layers.Build(ctx, id, func(dir *at.Dir) error {
		if parent == "" {
			if err := errors.Join(dir.Chown(".", owner.UID, owner.GID), dir.Chmod(".", baseMode)); err != nil {
				return err
			}
		} else if err := d.copyParent(ctx, parent, dir); err != nil {
			return fmt.Errorf("copying the parent: %w", model.OnObject(model.KindLayer, parent, err))
		}
		return setLabel(dir.Path("."))
	})
}

// CheckCreate implements drivers.CreateChecker: there are no options.
func (d *Driver) CheckCreate(opts drivers.CreateOptions) error {
	for key := range opts.StorageOpt {
		return fmt.Errorf("layers have no option %q: %w", key, model.ErrInvalid)
	}
	return nil
}

func (d *Driver) copyParent(ctx context.Context, parent string, to *at.Dir) (err error) {
	from, err := d.homes.Find(parent)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	return copyTree(ctx, from.Dir.Dir, to.Dir, copyOptions{
		ignoreChownErrors: d.options.ignoreChownErrors,
		lenient:           d.lenient,
	})
}

// setLabel gives a layer the SELinux label that files of containers have, at
// the lowest level, so that containers of every level can read it.
func setLabel(path string) error {
	if !selinux.GetEnabled() {
		return nil
	}
	_, fileLabel, err := label.InitLabels([]string{"level:s0"})
	if err != nil {
		return fmt.Errorf("SELinux label: %w", err)
	}
	return label.SetFileLabel(path, fileLabel)
}

// Replace puts one tree in the place of another one.
func (d *Driver) Replace(_ context.Context, id, from string) error {
	if err := errors.Join(d.homes.NotElsewhere(id), d.homes.NeedOwn(from)); err != nil {
		return err
	}
	return d.layers.Replace(id, from)
}

// Remove removes the layer's tree.
func (d *Driver) Remove(ctx context.Context, id string) error {
	found, err := d.layers.Remove(ctx, id, func(*at.Dir) error { return nil })
	if err == nil && !found {
		err = d.homes.NotElsewhere(id)
	}
	return err
}

// Exists implements drivers.Driver.
func (d *Driver) Exists(_ context.Context, id string) (bool, error) { return d.homes.Exists(id) }

// List implements drivers.Driver.
func (d *Driver) List(context.Context) ([]string, error) { return d.layers.List() }

// Mount returns the layer's tree. Of all options there is only "ro", which
// changes nothing, except that a layer in the home of another store is not
// given to whoever does not ask for it.
func (d *Driver) Mount(_ context.Context, id string, opts drivers.MountOptions) (path string, err error) {
	readOnly := opts.ReadOnly
	for _, option := range strings.FieldsFunc(strings.Join(opts.Options, ","), func(r rune) bool { return r == ',' }) {
		if option != "ro" {
			return "", fmt.Errorf("driver %s has no mount option %q: %w", Name, option, model.ErrInvalid)
		}
		readOnly = true
	}
	if !readOnly {
		if err := d.homes.NotElsewhere(id); err != nil {
			return "", err
		}
	}
	return d.homes.Path(id)
}

// Unmount has nothing to do.
func (d *Driver) Unmount(_ context.Context, id string) error { return d.homes.Need(id) }

// Mountpoint returns the layer's tree, on which nothing is ever mounted.
func (d *Driver) Mountpoint(_ context.Context, id string) (path string, mounted bool, err error) {
	path, err = d.homes.Path(id)
	return path, false, err
}

// View shows the layer's tree.
func (d *Driver) View(_ context.Context, id string) (dir string, release func() error, err error) {
	dir, err = d.homes.Path(id)
	return dir, func() error { return nil }, err
}

// Apply unpacks the entries of src onto the layer's tree.
func (d *Driver) Apply(ctx context.Context, id string, src archive.Source, opts archive.UnpackOptions) (archive.Unpacked, error) {
	if err := d.homes.NeedOwn(id); err != nil {
		return archive.Unpacked{}, err
	}
	opts.Whiteouts = archive.WhiteoutsApplied
	opts.IgnoreChownErrors = opts.IgnoreChownErrors || d.options.ignoreChownErrors
	return archive.Unpack(ctx, d.layers.Path(id), src, opts)
}

// Content gives access to the files of the layer's tree.
func (d *Driver) Content(_ context.Context, id string) (drivers.Content, error) {
	path, err := d.homes.Path(id)
	if err != nil {
		return nil, err
	}
	return archive.OpenTree(path)
}

// CopiesParents implements drivers.ParentCopier.
func (d *Driver) CopiesParents() bool { return true }

// Status has nothing to tell.
func (d *Driver) Status(context.Context) ([]drivers.Pair, error) { return nil, nil }

// Close closes the home.
func (d *Driver) Close(context.Context) error { return d.layers.Close() }
