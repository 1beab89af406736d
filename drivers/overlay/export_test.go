package overlay

import (
	"context"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
)

// OpenClassic is Open for kernels that take the layers of an overlay only as
// text.
func OpenClassic(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
	d, err := open(ctx, config, func(_ *at.Dir, runHome string) mounter { return classicMounter{scratch: runHome} })
	if err != nil {
		return nil, err
	}
	return d, nil
}

// InDirectory is inDirectory.
func InDirectory(dir string, f func() error) error { return inDirectory(dir, f) }
