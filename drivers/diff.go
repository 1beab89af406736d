package drivers

import (
	"context"
	"errors"
	"io"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// Diff writes what must be applied to parent to get the layer id, as a tar
// stream. Any two layers may be compared; parent "" stands for an empty one,
// so that everything is written.
//
// Where both layers have to be walked (see DiffDriver), files are compared by
// their attributes, as archive.Changes does. A file that was replaced by one of
// the same size, within the same tick of the kernel's clock, is not noticed.
func Diff(ctx context.Context, d Driver, id, parent string, w io.Writer) error {
	native, err := nativeDiff(ctx, d, id, parent)
	switch {
	case err != nil:
		return err
	case native != nil:
		return native.Diff(ctx, id, w)
	}
	forced, compared, err := forcedModes(ctx, d, id, parent)
	if err != nil {
		return err
	}
	return onViews(ctx, d, id, parent, func(newDir, oldDir string) error {
		if oldDir == "" {
			return archive.Pack(ctx, w, newDir, archive.PackOptions{Overrides: forced})
		}
		changes, err := archive.Changes(ctx, oldDir, newDir, compared)
		if err != nil {
			return err
		}
		return archive.PackChanges(ctx, w, newDir, changes, archive.PackOptions{Overrides: forced})
	})
}

// Changes lists the paths at which the layer id differs from parent, sorted.
// Any two layers may be compared, as by Diff; compared with parent ""
// everything is an addition.
func Changes(ctx context.Context, d Driver, id, parent string) (changes []model.Change, err error) {
	native, err := nativeDiff(ctx, d, id, parent)
	switch {
	case err != nil:
		return nil, err
	case native != nil:
		return native.Changes(ctx, id)
	}
	_, compared, err := forcedModes(ctx, d, id, parent)
	if err != nil {
		return nil, err
	}
	err = onViews(ctx, d, id, parent, func(newDir, oldDir string) error {
		changes, err = archive.Changes(ctx, oldDir, newDir, compared)
		return err
	})
	return changes, err
}

// DiffSize returns how many bytes of content the files have that Diff would
// write, counting a file with several names once.
func DiffSize(ctx context.Context, d Driver, id, parent string) (size int64, err error) {
	native, err := nativeDiff(ctx, d, id, parent)
	switch {
	case err != nil:
		return 0, err
	case native != nil:
		return native.DiffSize(ctx, id)
	}
	_, compared, err := forcedModes(ctx, d, id, parent)
	if err != nil {
		return 0, err
	}
	err = onViews(ctx, d, id, parent, func(newDir, oldDir string) error {
		if oldDir == "" {
			size, err = archive.TreeSize(ctx, newDir)
			return err
		}
		changes, err := archive.Changes(ctx, oldDir, newDir, compared)
		if err != nil {
			return err
		}
		size, err = changedSize(ctx, newDir, changes)
		return err
	})
	return size, err
}

// forcedModes returns whether the layer id may have forced modes, and how it is
// compared with another one, which may have them too.
func forcedModes(ctx context.Context, d Driver, id, parent string) (forced archive.Overrides, compared archive.CompareOptions, err error) {
	forcer, ok := d.(ModeForcer)
	if !ok {
		return forced, compared, nil
	}
	if forced, err = forcer.ForcedModes(ctx, id); err != nil || parent == "" {
		return forced, archive.CompareOptions{Overrides: forced}, err
	}
	below, err := forcer.ForcedModes(ctx, parent)
	if err != nil {
		return forced, compared, model.OnObject(model.KindLayer, parent, err)
	}
	return forced, archive.CompareOptions{Overrides: max(forced, below)}, nil
}

// nativeDiff returns the driver as a DiffDriver if it can tell the differences
// between the two layers from the layer id alone, or else nil.
func nativeDiff(ctx context.Context, d Driver, id, parent string) (DiffDriver, error) {
	differ, ok := d.(DiffDriver)
	if !ok {
		return nil, nil //nolint:nilnil // "no short way" is an answer
	}
	if native, err := differ.NativeDiff(ctx, id, parent); err != nil || !native {
		return nil, err
	}
	return differ, nil
}

// onViews calls compare with directories that show the two layers; that of
// parent "" is "".
func onViews(ctx context.Context, d Driver, id, parent string, compare func(newDir, oldDir string) error) (err error) {
	newDir, release, err := view(ctx, d, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	oldDir := ""
	if parent != "" && parent != id {
		var releaseOld func() error
		if oldDir, releaseOld, err = view(ctx, d, parent); err != nil {
			return model.OnObject(model.KindLayer, parent, err)
		}
		defer func() { err = errors.Join(err, releaseOld()) }()
	} else if parent == id {
		oldDir = newDir
	}
	return compare(newDir, oldDir)
}

// OpenContent gives access to the files of a layer, without mounting it where
// the driver knows how.
func OpenContent(ctx context.Context, d Driver, id string) (Content, error) {
	if direct, ok := d.(ContentDriver); ok {
		return direct.Content(ctx, id)
	}
	return OpenView(ctx, d, id)
}

// OpenView gives access to the files that a layer's file system shows, those
// of its ancestors included.
func OpenView(ctx context.Context, d Driver, id string) (Content, error) {
	dir, release, err := view(ctx, d, id)
	if err != nil {
		return nil, err
	}
	tree, err := archive.OpenTree(dir)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &viewContent{Tree: tree, release: release}, nil
}

// viewContent is the content of a layer that is shown for as long as it is
// open.
type viewContent struct {
	*archive.Tree
	release func() error
}

// Close ends the view.
func (c *viewContent) Close() error { return errors.Join(c.Tree.Close(), c.release()) }
