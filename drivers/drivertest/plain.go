package drivertest

import (
	"context"

	"github.com/csdb/csdb/drivers"
)

// Plain returns a constructor of the same driver without its optional
// interfaces, so that the suite tests what package drivers makes of it by
// mounting and walking.
func Plain(construct drivers.Constructor) drivers.Constructor {
	return func(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
		driver, err := construct(ctx, config)
		if err != nil {
			return nil, err
		}
		return struct{ drivers.Driver }{driver}, nil
	}
}
