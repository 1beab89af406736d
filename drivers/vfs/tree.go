package vfs

import (
	"context"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/beneath"
)

var _ drivers.TreeDriver = (*Driver)(nil)

// Tree implements drivers.TreeDriver: a layer has a copy of all that is in its
// parent.
func (d *Driver) Tree(_ context.Context, id string) (*beneath.Dir, error) {
	layer, err := d.homes.Find(id)
	if err != nil {
		return nil, err
	}
	return layer.Dir.Dir, layer.Search.Close()
}
