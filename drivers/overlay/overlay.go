package overlay

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/selinux/go-selinux"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// Name is the name of the driver.
const Name = "overlay"

// Names in a layer's directory.
const (
	contentDir   = "diff"
	workDir      = "work"
	mergedDir    = "merged"
	newMergedDir = "merged.1"
	emptyDir     = "empty"
	linkFile     = "link"
	partLinkFile = ".link-" // followed by the short name that is being written
	lowerFile    = "lower"
)

// fsType is what the kernel calls the file system.
const fsType = "overlay"

// metacopyOn is the mount option by which the kernel copies only the metadata
// of a file when only they are changed.
const metacopyOn = "metacopy=on"

// Driver is the driver for one home. It holds no state of layers: any number
// of processes may use a home.
type Driver struct {
	layers  *drivers.LayerDirs // the home
	homes   *drivers.Homes     // that and those of other stores
	runHome string
	options options
	// defaults are the configured mount options.
	defaults mountOptions
	backing  string
	// userXattr: the driver runs in a user namespace.
	userXattr bool
	// helper is the path of the mount program, "" if the kernel mounts.
	helper    string
	features  features
	mounter   mounter
	projects  projects
	hasLabels func() bool
}

// The driver can do more than it must.
var (
	_ drivers.Driver         = (*Driver)(nil)
	_ drivers.Applier        = (*Driver)(nil)
	_ drivers.DiffDriver     = (*Driver)(nil)
	_ drivers.Viewer         = (*Driver)(nil)
	_ drivers.ContentDriver  = (*Driver)(nil)
	_ drivers.MetadataDriver = (*Driver)(nil)
	_ drivers.Replacer       = (*Driver)(nil)
	_ drivers.Measurer       = (*Driver)(nil)
	_ drivers.CreateChecker  = (*Driver)(nil)
	_ drivers.ModeForcer     = (*Driver)(nil)
)

// Open opens the driver. It implements drivers.Constructor.
func Open(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
	d, err := open(ctx, config, host())
	if err != nil {
		return nil, err
	}
	return d, nil
}

// machine is what the driver finds on the machine, so that tests can have
// another one.
type machine struct {
	mounter  func(home *at.Dir, runHome string) mounter
	projects projects
	// hasLabels tells whether SELinux is enabled.
	hasLabels func() bool
}

// host is the machine that the process is on.
func host() machine {
	return machine{mounter: chooseMounter, projects: kernelProjects{}, hasLabels: selinux.GetEnabled}
}

// open opens the driver on a machine of the caller's choice.
func open(ctx context.Context, config drivers.Config, on machine) (_ *Driver, err error) {
	d := &Driver{projects: on.projects, hasLabels: on.hasLabels}
	if d.options, err = parseOptions(config.Options); err != nil {
		return nil, err
	}
	if d.defaults, err = parseMountOptions(d.options.mount); err != nil {
		return nil, err
	}
	if d.userXattr, err = needUserXattr(); err != nil {
		return nil, err
	}
	// Mount data are not relative to a directory that may change.
	home, err := filepath.Abs(config.Home)
	if err != nil {
		return nil, err
	}
	d.backing, err = backingFS(home)
	if err != nil && !(errors.Is(err, model.ErrIncompatibleFS) && d.options.mountProgram != "") {
		return nil, err
	}
	made, err := makeHome(home)
	if err == nil {
		err = d.start(ctx, home, config, on)
	}
	if err != nil {
		// A home that is left behind would be taken for one in use.
		for _, dir := range slices.Backward(made) {
			_ = os.Remove(dir)
		}
		return nil, err
	}
	return d, nil
}

// start finds out what can be done in the home.
func (d *Driver) start(ctx context.Context, home string, config drivers.Config, on machine) (err error) {
	if d.runHome, err = filepath.Abs(config.RunHome); err != nil {
		return err
	}
	if d.layers, err = drivers.OpenLayerDirs(home); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.layers.Close())
		}
	}()
	if d.homes, err = drivers.NewHomes(d.layers, config.Others); err != nil {
		return err
	}
	if d.helper, err = d.options.program(d.layers.Dir); err != nil {
		return err
	}
	if err := d.checkQuotas(d.options.quota); err != nil {
		return err
	}
	if _, err := hasMark(d.layers.Dir, forceMarkFile); err != nil {
		return err
	}
	if d.helper != "" {
		noted, err := indirections(d.layers.Dir)
		if err := errors.Join(err, d.checkIndirection(noted)); err != nil {
			return err
		}
		d.mounter = fuseMounter{program: d.helper, scratch: d.runHome}
		// What such a program writes is only known to itself.
		d.features = features{dType: true, volatile: true}
		return nil
	}
	d.mounter = on.mounter(d.layers.Dir, d.runHome)
	cache, err := newProbeCache(d.runHome, d.layers.Dir)
	if err != nil {
		return err
	}
	return d.probe(ctx, cache)
}

// chooseMounter returns the better mounter that works here.
func chooseMounter(home *at.Dir, runHome string) mounter {
	if newMounterWorks(home) {
		return newMounter{}
	}
	return classicMounter{scratch: runHome}
}

// makeHome makes the home and the directory of short names, and returns which
// directories it has made.
func makeHome(home string) (made []string, err error) {
	if err := os.MkdirAll(filepath.Dir(home), 0o700); err != nil {
		return nil, err
	}
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{{home, 0o700}, {filepath.Join(home, linkDir), 0o755}} {
		switch err := os.Mkdir(dir.path, dir.mode); {
		case errors.Is(err, os.ErrExist):
			continue
		case err != nil:
			return made, err
		}
		made = append(made, dir.path)
		if err := os.Chmod(dir.path, dir.mode); err != nil {
			return made, err
		}
	}
	return made, nil
}

// Name implements drivers.Driver.
func (d *Driver) Name() string { return Name }

// Exists implements drivers.Driver.
func (d *Driver) Exists(_ context.Context, id string) (bool, error) { return d.homes.Exists(id) }

// List implements drivers.Driver.
func (d *Driver) List(context.Context) ([]string, error) { return d.layers.List() }

// Remove unmounts the layer and removes its directory and its short name.
func (d *Driver) Remove(ctx context.Context, id string) error {
	found, err := d.layers.Remove(ctx, id, func(layer *at.Dir) error {
		return errors.Join(detach(layer), d.forgetLink(id, layer), d.forgetProject(layer))
	})
	if err == nil && !found {
		// Somebody may have deleted the directory by hand.
		err = d.ifLinks(func(links *at.Dir) error { return forgetLinks(links, id) })
		err = errors.Join(err, d.homes.NotElsewhere(id))
	}
	return err
}

// Status describes what the driver found out.
func (d *Driver) Status(context.Context) ([]drivers.Pair, error) {
	return []drivers.Pair{
		{Name: "Backing Filesystem", Value: d.backing},
		{Name: "Supports d_type", Value: strconv.FormatBool(d.features.dType)},
		{Name: "Native Overlay Diff", Value: strconv.FormatBool(d.features.nativeDiff)},
		{Name: "Using metacopy", Value: strconv.FormatBool(d.features.metacopy)},
		{Name: "Supports shifting", Value: strconv.FormatBool(false)},
		{Name: "Supports volatile", Value: strconv.FormatBool(d.features.volatile)},
	}, nil
}

// Metadata returns the directories that a mount of the layer is made of.
func (d *Driver) Metadata(ctx context.Context, id string) (pairs []drivers.Pair, err error) {
	merged, _, err := d.Mountpoint(ctx, id)
	if err != nil {
		return nil, err
	}
	err = d.onContents(ctx, id, func(own string, below []string) error {
		pairs = []drivers.Pair{
			{Name: "WorkDir", Value: filepath.Join(filepath.Dir(own), workDir)},
			{Name: "MergedDir", Value: merged},
			{Name: "UpperDir", Value: own},
		}
		if len(below) > 0 {
			pairs = append(pairs, drivers.Pair{Name: "LowerDir", Value: strings.Join(below, ":")})
		}
		return nil
	})
	return pairs, err
}

// Close closes the home. Layers that are mounted stay mounted.
func (d *Driver) Close(context.Context) error { return d.layers.Close() }

// whiteouts returns the form of deletions in upper directories.
func (d *Driver) whiteouts() archive.Whiteouts {
	if d.userXattr {
		return archive.WhiteoutsOverlayUser
	}
	return archive.WhiteoutsOverlay
}

// xattr returns the name of one of overlay's attributes.
func (d *Driver) xattr(name string) string {
	if d.userXattr {
		return "user.overlay." + name
	}
	return "trusted.overlay." + name
}
