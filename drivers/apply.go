package drivers

import (
	"context"
	"errors"

	"github.com/csdb/csdb/internal/archive"
)

// Apply unpacks the entries of src onto a layer, which may be mounted. The
// layer is in an undefined state after an error; whoever wants it back removes
// it and begins again.
func Apply(ctx context.Context, d Driver, id string, src archive.Source, opts archive.UnpackOptions) (unpacked archive.Unpacked, err error) {
	if applier, ok := d.(Applier); ok {
		return applier.Apply(ctx, id, src, opts)
	}
	dir, release, err := borrow(ctx, d, id, MountOptions{})
	if err != nil {
		return archive.Unpacked{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	opts.Whiteouts = archive.WhiteoutsApplied
	return archive.Unpack(ctx, dir, src, opts)
}
