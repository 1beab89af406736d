package overlay

import (
	"context"
	"fmt"
	"strings"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
)

// OpenClassic is Open for kernels that take the layers of an overlay only as
// text.
func OpenClassic(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
	on := host()
	on.mounter = func(_ *at.Dir, runHome string) mounter { return classicMounter{scratch: runHome} }
	return openOn(ctx, config, on)
}

// Projects are the project quotas of a file system.
type Projects = projects

// OpenWithProjects returns Open for a file system with such project quotas.
func OpenWithProjects(p Projects) drivers.Constructor {
	return func(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
		on := host()
		on.projects = p
		return openOn(ctx, config, on)
	}
}

func openOn(ctx context.Context, config drivers.Config, on machine) (drivers.Driver, error) {
	d, err := open(ctx, config, on)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// InDirectory is inDirectory.
func InDirectory(dir string, f func() error) error { return inDirectory(dir, f) }

// OpenWithSELinux is Open for a kernel with SELinux.
func OpenWithSELinux(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
	on := host()
	on.hasLabels = func() bool { return true }
	return openOn(ctx, config, on)
}

// OpenWithoutSELinux is Open for a kernel without.
func OpenWithoutSELinux(ctx context.Context, config drivers.Config) (drivers.Driver, error) {
	on := host()
	on.hasLabels = func() bool { return false }
	return openOn(ctx, config, on)
}

// MountData returns the options that mount(2) or a mount program gets beside the
// directories, in which commas of a value do not separate.
func MountData(d drivers.Driver, opts drivers.MountOptions) (string, error) {
	o, ok := d.(*Driver)
	if !ok {
		return "", fmt.Errorf("%T has no options", d)
	}
	options, err := o.mountOptions(opts)
	s := stack{options: options}
	return strings.TrimPrefix(s.data(func(content) string { return "" }), "lowerdir="), err
}
