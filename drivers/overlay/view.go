package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
)

// View shows a layer without using its mount point, unless the layer is
// mounted there: then that mount is shown, because the kernel does not allow
// for a directory that is written to by one overlay and read by another.
func (d *Driver) View(ctx context.Context, id string) (dir string, release func() error, err error) {
	layer, err := d.find(id)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	mount, err := d.viewMount(ctx, layer)
	if err != nil {
		return "", nil, fmt.Errorf("showing: %w", err)
	}
	// The descriptor keeps the mount, also if it is unmounted meanwhile.
	return fmt.Sprintf("/proc/self/fd/%d", mount.Fd()), mount.Close, nil
}

func (d *Driver) viewMount(ctx context.Context, layer *drivers.Located) (mount *os.File, err error) {
	if mounted, err := isMounted(layer.Dir); err != nil || mounted {
		if err != nil {
			return nil, err
		}
		return os.OpenFile(layer.ProcPath()+"/"+mergedDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	}
	options, err := d.mountOptions(drivers.MountOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	s, err := d.openStack(ctx, layer, options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return d.mounter.detached(ctx, s)
}
