package overlay

import (
	"context"

	"github.com/csdb/csdb/drivers"
)

var _ drivers.Measurer = (*Driver)(nil)

// Measure implements drivers.Measurer: what is mounted on the layer is not its own.
func (d *Driver) Measure(ctx context.Context, id string) (int64, error) {
	return d.layers.Measure(ctx, id, mergedDir, newMergedDir)
}
