package overlay

import (
	"context"
	"errors"
	"fmt"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// FindLayers implements drivers.LayerFinder: the parent of a layer is the first of
// those that its file lower lists.
func (i *inspector) FindLayers(ctx context.Context, found func(drivers.FoundLayer) error) error {
	dirs, err := i.layers.List()
	if err != nil {
		return err
	}
	// Short names that are lost in linkDir are written down in the layers.
	written := make(map[link]string, len(dirs))
	for _, dir := range dirs {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		name, err := i.writtenLink(dir)
		if err != nil {
			return err
		}
		if name != "" {
			written[name] = dir
		}
	}
	for _, dir := range dirs {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		layer, err := i.findLayer(ctx, dir, written)
		if err == nil {
			err = found(layer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findLayer describes a layer by what is in its directory.
func (i *inspector) findLayer(ctx context.Context, name string, written map[link]string) (layer drivers.FoundLayer, err error) {
	layer.Dir = name
	dir, fault, err := i.layers.Inspect(name)
	if err != nil {
		return layer, err
	}
	if fault != nil {
		layer.Problem = fault.Found
		return layer, nil
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if fault, err := lookAtContent(dir, drivers.InspectedLayer{Dir: name}); err != nil || fault != nil {
		layer.Problem = "it has no content"
		return layer, err
	}
	err = i.findParent(ctx, dir, &layer, written)
	return layer, err
}

// findParent finds out which layer is the parent of another one.
func (i *inspector) findParent(ctx context.Context, dir *at.Dir, layer *drivers.FoundLayer, written map[link]string) error {
	names, err := readLower(dir)
	if errors.Is(err, model.ErrCorrupt) {
		layer.Problem = "its file lower is damaged"
		return nil
	}
	if err != nil || len(names) == 0 {
		return err
	}
	if layer.Parent = written[names[0]]; layer.Parent == "" {
		if err := i.findLinked(ctx, names[0], layer); err != nil {
			return err
		}
	}
	if layer.Parent == "" || layer.Parent == layer.Dir && layer.ParentHome == "" {
		layer.Problem = fmt.Sprintf("the short name %s of its parent leads to no layer", names[0])
		if !i.complete {
			layer.Problem += " of this home"
		}
	}
	return nil
}

// findLinked finds the parent that a short name leads to by linkDir, or in the
// home of another store. That comes after a layer in this home, and before one
// of which only the short name is left.
func (i *inspector) findLinked(ctx context.Context, name link, layer *drivers.FoundLayer) error {
	layer.Parent = i.targets[name]
	if layer.Parent != "" {
		if there, err := i.layers.IsDir(layer.Parent); err != nil || there {
			return err
		}
	}
	id, home, err := i.foreignLayer(ctx, name)
	if err == nil && home != nil {
		layer.Parent, layer.ParentHome = id, home.layers.Path(".")
	}
	return err
}
