package vfs

import (
	"context"

	"github.com/csdb/csdb/drivers"
)

var _ drivers.Measurer = (*Driver)(nil)

// Measure implements drivers.Measurer: a layer has a copy of all that is in its
// parent.
func (d *Driver) Measure(ctx context.Context, id string) (int64, error) {
	return d.layers.Measure(ctx, id)
}
