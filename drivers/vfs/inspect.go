package vfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// inspector implements drivers.Inspector and drivers.ParentCopier.
type inspector struct {
	home   *drivers.LayerDirs
	layers *drivers.LayerDirs // nil if the home has no directory for layers
	others []*drivers.LayerDirs
}

// FaultKinds describes what Inspect can find beyond what layers of every driver
// can have: nothing, for a layer is one tree.
func FaultKinds() []drivers.FaultKind { return nil }

// Inspect opens the home at a path for inspection. Those of others are of use only
// to Restore: nothing else of a layer is ever in one.
func Inspect(_ context.Context, home string, others []string) (_ drivers.Inspector, err error) {
	i := &inspector{}
	if i.home, err = drivers.OpenLayerDirs(home); err != nil {
		return nil, err
	}
	i.layers, err = drivers.OpenLayerDirs(filepath.Join(home, layersDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, i.home.Close())
	}
	if i.others, _, err = drivers.OpenOthers(inHomes(others)); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// Layer looks whether the layer has a tree.
func (i *inspector) Layer(_ context.Context, layer drivers.InspectedLayer) ([]drivers.Fault, error) {
	path := i.Path(layer.Dir)
	if i.layers == nil {
		return []drivers.Fault{{Code: drivers.FaultMissing, Path: path, Expected: "a directory", Found: "nothing"}}, nil
	}
	dir, fault, err := i.layers.Inspect(layer.Dir)
	if err != nil {
		return nil, err
	}
	if fault != nil {
		fault.Path = path
		return []drivers.Fault{*fault}, nil
	}
	return nil, dir.Close()
}

// Content gives access to the files of the layer's tree.
func (i *inspector) Content(_ context.Context, layer drivers.InspectedLayer) (drivers.Content, error) {
	if i.layers == nil {
		return nil, &fs.PathError{Op: "open", Path: i.Path(layer.Dir), Err: fs.ErrNotExist}
	}
	dir, err := i.layers.Sub(layer.Dir)
	if err != nil {
		return nil, err
	}
	tree, err := archive.OpenTree(dir.ProcPath())
	return tree, errors.Join(err, dir.Close())
}

// Restore implements drivers.Restorer.
func (i *inspector) Restore(ctx context.Context, layer drivers.InspectedLayer, to string, diff archive.Source) error {
	if err := i.copyParent(ctx, layer, to); err != nil {
		return err
	}
	_, err := archive.Unpack(ctx, to, diff, archive.UnpackOptions{Whiteouts: archive.WhiteoutsApplied})
	return err
}

// copyParent copies the tree of a layer's parent into an empty directory.
func (i *inspector) copyParent(ctx context.Context, layer drivers.InspectedLayer, to string) (err error) {
	if len(layer.Below) == 0 {
		owner, err := drivers.Root(nil, nil)
		return errors.Join(err, os.Chown(to, owner.UID, owner.GID), os.Chmod(to, baseMode))
	}
	parent, err := i.open(layer.Below[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parent.Close()) }()
	dir, err := beneath.Open(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return copyTree(ctx, parent.Dir, dir, copyOptions{lenient: os.Geteuid() != 0})
}

// open opens the tree of a layer in the first home that has it.
func (i *inspector) open(id string) (*at.Dir, error) {
	homes := i.others
	if i.layers != nil {
		homes = append([]*drivers.LayerDirs{i.layers}, homes...)
	}
	for _, home := range homes {
		if dir, err := home.Layer(id); !errors.Is(err, model.ErrLayerUnknown) {
			return dir, err
		}
	}
	return nil, model.Unknown(model.KindLayer, id)
}

// Leftovers lists what is beside the directory of the layers, and in it without
// being one.
func (i *inspector) Leftovers(ctx context.Context, belongs func(string) (bool, error), found func(drivers.Leftover) error) error {
	beside := func(left drivers.Leftover) error {
		left.Dir = ""
		return found(left)
	}
	nobodys := func(string) (bool, error) { return false, nil }
	isLayers := func(name string) bool { return name == layersDir && i.layers != nil || name == lostFound }
	if err := i.home.Leftovers(ctx, "", isLayers, nobodys, beside); err != nil || i.layers == nil {
		return err
	}
	none := func(string) bool { return false }
	return i.layers.Leftovers(ctx, layersDir+"/", none, belongs, found)
}

// lostFound is a directory of some file systems, which may begin at the home.
const lostFound = "lost+found"

// CopiesParents implements drivers.ParentCopier.
func (i *inspector) CopiesParents() bool { return true }

// Path implements drivers.Inspector.
func (i *inspector) Path(dir string) string { return layersDir + "/" + dir }

// ContentPath implements drivers.Inspector.
func (i *inspector) ContentPath(dir string) string { return i.Path(dir) }

// Close implements drivers.Inspector.
func (i *inspector) Close() error {
	err := i.home.Close()
	if i.layers != nil {
		err = errors.Join(err, i.layers.Close())
	}
	for _, other := range i.others {
		err = errors.Join(err, other.Close())
	}
	return err
}
