package overlay

import (
	"context"
	"errors"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/beneath"
)

var _ drivers.TreeDriver = (*Driver)(nil)

// Tree implements drivers.TreeDriver: a layer has what differs from its parent.
func (d *Driver) Tree(_ context.Context, id string) (_ *beneath.Dir, err error) {
	layer, err := d.find(id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	content, err := d.openPart(layer, contentDir)
	if err != nil {
		return nil, err
	}
	return content.Dir.Dir, nil
}
