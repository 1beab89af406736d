package drivers

import (
	"context"
	"fmt"
)

// view returns a directory that shows the layer's file system, and a function
// that must be called when it is no longer needed. A driver that is not a
// Viewer mounts the layer for that long, unless it is mounted already.
func view(ctx context.Context, d Driver, id string) (dir string, release func() error, err error) {
	if viewer, ok := d.(Viewer); ok {
		return viewer.View(ctx, id)
	}
	return borrow(ctx, d, id, MountOptions{ReadOnly: true})
}

// borrow returns the layer's mount point after mounting the layer there if
// need be; release then undoes what borrow did and nothing else.
func borrow(ctx context.Context, d Driver, id string, opts MountOptions) (dir string, release func() error, err error) {
	path, mounted, err := d.Mountpoint(ctx, id)
	if err != nil {
		return "", nil, err
	}
	if mounted {
		return path, func() error { return nil }, nil
	}
	if path, err = d.Mount(ctx, id, opts); err != nil {
		return "", nil, err
	}
	return path, func() error {
		// The mount must go even if ctx has ended meanwhile.
		if err := d.Unmount(context.WithoutCancel(ctx), id); err != nil {
			return fmt.Errorf("unmounting again: %w", err)
		}
		return nil
	}, nil
}
