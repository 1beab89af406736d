package overlay

import (
	"context"
	"errors"
	"io"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// NativeDiff tells whether parent is the layer below id, and changes can be
// read from the layer's own directory.
func (d *Driver) NativeDiff(ctx context.Context, id, parent string) (native bool, err error) {
	layer, err := d.find(id)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	if direct, err := d.readsDirectly(ctx, layer); err != nil || !direct {
		return false, err
	}
	ancestors, err := readLower(layer.Dir)
	if err != nil {
		return false, err
	}
	if len(ancestors) == 0 || parent == "" {
		return parent == "" && len(ancestors) == 0, nil
	}
	lookup := d.newLookup(layer.Search)
	defer func() { err = errors.Join(err, lookup.close()) }()
	below, err := lookup.open(ctx, ancestors[0])
	if err != nil {
		return false, err
	}
	// The layer of that name which is meant may be another one.
	meant, err := layer.Search.First(parent)
	return below.id == parent && below.home == meant, errors.Join(err, below.Close())
}

// Apply unpacks the entries of src. A layer that is not mounted gets them in
// its own directory, with deletions in the form that overlay knows. A mounted
// one gets them through the mount: the kernel does not notice changes below
// it.
func (d *Driver) Apply(ctx context.Context, id string, src archive.Source, opts archive.UnpackOptions) (unpacked archive.Unpacked, err error) {
	if err := d.homes.NeedOwn(id); err != nil {
		return archive.Unpacked{}, err
	}
	opts.IgnoreChownErrors = opts.IgnoreChownErrors || d.options.ignoreChownErrors
	path, mounted, err := d.Mountpoint(ctx, id)
	if err != nil {
		return archive.Unpacked{}, err
	}
	if mounted {
		opts.Whiteouts = archive.WhiteoutsApplied
		return archive.Unpack(ctx, path, src, opts)
	}
	if d.helper != "" && d.options.forceMask == nil {
		return d.applyMounted(ctx, id, src, opts)
	}
	if err := d.noteForcing(); err != nil {
		return archive.Unpacked{}, err
	}
	opts.Whiteouts, opts.ForceMask, opts.OverrideAttr = d.whiteouts(), d.options.forceMask, d.overrideAttr()
	err = d.onContents(ctx, id, func(own string, below []string) error {
		opts.Lowers = below
		unpacked, err = archive.Unpack(ctx, own, src, opts)
		return err
	})
	return unpacked, err
}

// Diff writes the layer's own directory as a tar stream.
func (d *Driver) Diff(ctx context.Context, id string, w io.Writer) error {
	forced, err := d.ForcedModes(ctx, id)
	if err != nil {
		return err
	}
	return d.onContents(ctx, id, func(own string, below []string) error {
		return archive.Pack(ctx, w, own, archive.PackOptions{Whiteouts: d.whiteouts(), Lowers: below, Overrides: forced})
	})
}

// Changes lists what is in the layer's own directory.
func (d *Driver) Changes(ctx context.Context, id string) (changes []model.Change, err error) {
	forced, err := d.ForcedModes(ctx, id)
	if err != nil {
		return nil, err
	}
	err = d.onContents(ctx, id, func(own string, below []string) error {
		changes, err = archive.OverlayChanges(ctx, own, below, d.whiteouts(), archive.CompareOptions{Overrides: forced})
		return err
	})
	return changes, err
}

// DiffSize measures the layer's own directory.
func (d *Driver) DiffSize(ctx context.Context, id string) (size int64, err error) {
	err = d.onContents(ctx, id, func(own string, _ []string) error {
		size, err = archive.TreeSize(ctx, own)
		return err
	})
	return size, err
}

// Content gives access to the files of the layer itself. Files that are only
// below it are found too: a layer whose owners were changed has its contents
// in several directories. Where the layer's own directory does not tell all,
// its file system is shown instead.
func (d *Driver) Content(ctx context.Context, id string) (content drivers.Content, err error) {
	layer, err := d.find(id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	direct, err := d.readsDirectly(ctx, layer)
	if err != nil {
		return nil, err
	}
	if !direct {
		return drivers.OpenView(ctx, d, id)
	}
	err = d.onContents(ctx, id, func(own string, below []string) error {
		content, err = archive.OpenTree(append([]string{own}, below...)...)
		return err
	})
	return content, err
}

// onContents calls f with the paths of a layer's own directory and of those
// below it, nearest first.
func (d *Driver) onContents(ctx context.Context, id string, f func(own string, below []string) error) (err error) {
	layer, err := d.find(id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	own, err := d.openPart(layer, contentDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	var below []string
	err = d.eachLower(ctx, layer, func(lower content) error {
		below = append(below, lower.Path("."))
		return lower.Close()
	})
	if err != nil {
		return err
	}
	return f(own.Path("."), below)
}
