package vfs

import (
	"context"

	"github.com/csdb/csdb/drivers"
)

// FindLayers implements drivers.LayerFinder. Each layer is a whole tree, and
// nothing tells which one it was copied from.
func (i *inspector) FindLayers(ctx context.Context, found func(drivers.FoundLayer) error) error {
	if i.layers == nil {
		return nil
	}
	dirs, err := i.layers.List()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := found(drivers.FoundLayer{Dir: dir}); err != nil {
			return err
		}
	}
	return nil
}
