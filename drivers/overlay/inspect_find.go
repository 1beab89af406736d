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
		layer, err := i.findLayer(dir, written)
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
func (i *inspector) findLayer(name string, written map[link]string) (layer drivers.FoundLayer, err error) {
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
	err = i.findParent(dir, &layer, written)
	return layer, err
}

// findParent finds out which layer is the parent of another one.
func (i *inspector) findParent(dir *at.Dir, layer *drivers.FoundLayer, written map[link]string) error {
	names, err := readLower(dir)
	if errors.Is(err, model.ErrCorrupt) {
		layer.Problem = "its file lower is damaged"
		return nil
	}
	if err != nil || len(names) == 0 {
		return err
	}
	layer.Parent = written[names[0]]
	if target := i.targets[names[0]]; layer.Parent == "" && target != "" {
		layer.Parent = target
	}
	if layer.Parent == "" || layer.Parent == layer.Dir {
		layer.Problem = fmt.Sprintf("the short name %s of its parent leads to no layer", names[0])
	}
	return nil
}
