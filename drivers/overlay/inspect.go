package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// Codes of what Inspect finds beyond what layers of every driver can have.
const (
	faultContent = "OVERLAY-DIFF"
	faultParts   = "OVERLAY-PARTS"
	faultLink    = "OVERLAY-LINK"
	faultName    = "OVERLAY-NAME"
	faultLower   = "OVERLAY-LOWER"
)

// FaultKinds describes what Inspect can find beyond what layers of every driver
// can have.
func FaultKinds() []drivers.FaultKind {
	const byItself = "nothing, if containers can be mounted: the driver restores short names as soon as it needs one"
	return []drivers.FaultKind{
		{
			Code:     faultContent,
			Loss:     true,
			Effect:   "the content of the layer is gone, so nothing on top of it can be mounted",
			Remedies: []string{"re-import the images and containers that are affected"},
		},
		{
			Code:     faultParts,
			Effect:   "the layer cannot be mounted for writing",
			Remedies: []string{"as root, `mkdir -m 0700 {path}`"},
		},
		{
			Code:     faultLink,
			Effect:   "layers may fail to be mounted, or to be put on top of this one",
			Remedies: []string{byItself, "as root, write the expected short name into {path}, without a newline at its end"},
		},
		{
			Code:     faultName,
			Effect:   "layers on top of this one may fail to be mounted",
			Remedies: []string{byItself, "as root, `ln -sfn TARGET {path}` with the expected target"},
		},
		{
			Code:     faultLower,
			Effect:   "the layer is mounted on the wrong layers or not at all",
			Remedies: []string{"as root, write the expected text into {path}, without a newline at its end"},
		},
	}
}

// inspector implements drivers.Inspector.
type inspector struct {
	*inspectedHome

	// others are the homes of other stores that are at hand; complete tells that
	// these are all.
	others   []*inspectedHome
	complete bool
	// claimed are short names that should lead to a layer, and do not.
	claimed map[link]bool
}

// Inspect opens the home at a path for inspection.
func Inspect(ctx context.Context, home string, others []string) (_ drivers.Inspector, err error) {
	layers, err := drivers.OpenLayerDirs(home)
	if err != nil {
		return nil, err
	}
	i := &inspector{claimed: make(map[link]bool)}
	if i.inspectedHome, err = inspectHome(ctx, layers); err != nil {
		return nil, err
	}
	if err := i.openOthers(ctx, others); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// Path implements drivers.Inspector.
func (i *inspector) Path(dir string) string { return dir }

// ContentPath implements drivers.Inspector.
func (i *inspector) ContentPath(dir string) string { return dir + "/" + contentDir }

// Aliases implements drivers.Namer: they are the short names that lead to the
// layer.
func (i *inspector) Aliases(dir string) (paths []string) {
	for name, id := range i.targets {
		if id == dir {
			paths = append(paths, name.path())
		}
	}
	slices.Sort(paths)
	return paths
}

// Close implements drivers.Inspector.
func (i *inspector) Close() error {
	err := i.close()
	for _, other := range i.others {
		err = errors.Join(err, other.close())
	}
	return err
}

// Layer compares the directory of a layer, its short name and what it says
// about its ancestors with what they should be.
func (i *inspector) Layer(ctx context.Context, layer drivers.InspectedLayer) (faults []drivers.Fault, err error) {
	dir, fault, err := i.layers.Inspect(layer.Dir)
	if err != nil {
		return nil, err
	}
	if fault != nil {
		return []drivers.Fault{*fault}, nil
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if faults, err = i.lookAtNames(dir, layer); err != nil {
		return faults, err
	}
	lookAtLower := func(dir *at.Dir, layer drivers.InspectedLayer) (*drivers.Fault, error) {
		return i.lookAtLower(ctx, dir, layer)
	}
	for _, look := range []func(*at.Dir, drivers.InspectedLayer) (*drivers.Fault, error){
		lookAtContent, lookAtLower, lookAtPart(workDir), lookAtPart(mergedDir),
	} {
		fault, err := look(dir, layer)
		if err != nil {
			return faults, err
		}
		if fault != nil {
			faults = append(faults, *fault)
		}
	}
	return faults, nil
}

// lookAtContent looks whether the layer has content.
func lookAtContent(dir *at.Dir, layer drivers.InspectedLayer) (*drivers.Fault, error) {
	fault, err := lookAtDir(dir, layer.Dir, contentDir)
	if fault != nil {
		fault.Code = faultContent
	}
	return fault, err
}

// lookAtPart looks whether the layer has a directory that mounts need.
func lookAtPart(name string) func(*at.Dir, drivers.InspectedLayer) (*drivers.Fault, error) {
	return func(dir *at.Dir, layer drivers.InspectedLayer) (*drivers.Fault, error) {
		fault, err := lookAtDir(dir, layer.Dir, name)
		if fault != nil {
			fault.Code = faultParts
			if fault.Found == nothing {
				fault.Fix = &drivers.Fix{Op: drivers.FixMkdir, Path: fault.Path, Mode: 0o700}
			}
		}
		return fault, err
	}
}

// nothing is what is found in place of something that is missing.
const nothing = "nothing"

// lookAtDir looks whether a layer's directory has a certain one in it.
func lookAtDir(dir *at.Dir, layer, name string) (*drivers.Fault, error) {
	stat, err := dir.Stat(name)
	found := drivers.KindOfFile(stat.Mode)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found = nothing
	case err != nil:
		return nil, err
	case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil, nil //nolint:nilnil // Nothing is wrong.
	}
	return &drivers.Fault{Path: layer + "/" + name, Expected: "a directory", Found: found}, nil
}

// Leftovers lists what is in the home without belonging to a layer: directories,
// short names, and everything else that the driver has not put there.
func (i *inspector) Leftovers(ctx context.Context, belongs func(string) (bool, error), found func(drivers.Leftover) error) error {
	known := func(name string) bool { return name == linkDir && i.links != nil || otherNames[name] }
	if err := i.layers.Leftovers(ctx, "", known, belongs, found); err != nil || i.links == nil {
		return err
	}
	entries, err := i.links.Entries()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		left, err := i.leftLink(entry, belongs)
		if err == nil && left != nil {
			err = found(*left)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leftLink tells what is wrong with an entry of linkDir that belongs to no
// layer. A second short name of a layer is none: layers on top of it may use
// it.
func (i *inspector) leftLink(entry fs.DirEntry, belongs func(string) (bool, error)) (*drivers.Leftover, error) {
	name := link(entry.Name())
	if i.claimed[name] {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	left := &drivers.Leftover{Path: name.path(), What: "no short name of a layer"}
	if _, err := parseLink(entry.Name()); err != nil {
		return left, nil //nolint:nilerr // That is what is wrong.
	}
	// Somebody may have made it since the others were read.
	target, err := readTarget(i.links, name)
	switch {
	case errors.Is(err, errNoLink):
		return nil, nil //nolint:nilnil // It has gone meanwhile.
	case errors.Is(err, model.ErrCorrupt):
		return left, nil
	case err != nil:
		return nil, err
	}
	if ok, err := belongs(target); err != nil || ok {
		return nil, err
	}
	left.Dir = target
	left.What = fmt.Sprintf("a short name that leads to %s, which no layer has", linkTarget(target))
	return left, nil
}

// otherNames are those of files that this driver, containers/storage or the file
// system may have put into a home, and that are nobody's in particular.
var otherNames = map[string]bool{
	"lost+found": true, "staging": true, "tempdirs": true, "backingFsBlockDev": true,
	markFile: true, forceMarkFile: true, metacopyMarkFile: true, redirectMarkFile: true, ".probe": true,
}
