package drivers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// partPrefix begins the name of a directory that is not yet, or no longer, a
// layer. No layer's name begins with a dot.
const partPrefix = ".part-"

// LayerDirs is a directory with one sub-directory per layer. A layer appears
// in it and disappears from it by a rename, so that there is never half of
// one: what Build and Remove have left when they were interrupted lies under
// another name, which List reports as the layer's and Remove cleans.
type LayerDirs struct{ *at.Dir }

// OpenLayerDirs opens the directory at path, which exists. The caller closes
// it.
func OpenLayerDirs(path string) (*LayerDirs, error) {
	dir, err := at.Open(path)
	if err != nil {
		return nil, fmt.Errorf("directory of layers: %w", err)
	}
	return &LayerDirs{dir}, nil
}

// CheckLayer reports whether id can be the name of a layer's directory. The
// error matches model.ErrInvalid.
func CheckLayer(id string) error {
	_, err := model.ParseLayerDir(id)
	return err
}

// Exists tells whether the layer has a directory.
func (l *LayerDirs) Exists(id string) (bool, error) {
	if err := CheckLayer(id); err != nil {
		return false, err
	}
	return l.IsDir(id)
}

// Need returns an error that matches model.ErrLayerUnknown if the layer has no
// directory.
func (l *LayerDirs) Need(id string) error {
	exists, err := l.Exists(id)
	if err == nil && !exists {
		err = model.Unknown(model.KindLayer, id)
	}
	return err
}

// Layer opens the directory of a layer.
func (l *LayerDirs) Layer(id string) (*at.Dir, error) {
	if err := CheckLayer(id); err != nil {
		return nil, err
	}
	dir, err := l.Sub(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, model.Unknown(model.KindLayer, id)
	}
	return dir, err
}

// List returns the names of all layers of which there is anything, sorted.
func (l *LayerDirs) List() ([]string, error) {
	entries, err := l.Entries()
	if err != nil {
		return nil, fmt.Errorf("listing layers: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		id := strings.TrimPrefix(entry.Name(), partPrefix)
		if entry.IsDir() && isLayer(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Build makes the directory of a layer. fill is called with an empty directory
// of mode 0700 and makes the layer in it. Whatever goes wrong, nothing remains.
func (l *LayerDirs) Build(ctx context.Context, id string, fill func(dir *at.Dir) error) (err error) {
	defer func() { err = Classify(err) }()
	if err := ctx.Err(); err != nil {
		return err
	}
	exists, err := l.Exists(id)
	if err != nil {
		return err
	}
	if exists {
		return fmt.Errorf("%s: %w", l.Path(id), model.ErrExists)
	}
	part := partPrefix + id
	if err := l.delete(ctx, part); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.delete(context.WithoutCancel(ctx), part))
		}
	}()
	if err := l.fill(part, fill); err != nil {
		return err
	}
	if err = l.RenameNew(part, id); errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w: %w", model.ErrExists, err)
	}
	return err
}

func (l *LayerDirs) fill(part string, fill func(dir *at.Dir) error) (err error) {
	if err := l.Mkdir(part, 0o700, os.Geteuid(), os.Getegid()); err != nil {
		return err
	}
	dir, err := l.Sub(part)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return fill(dir)
}

// Replace puts the directory from in the place of what has the name id, which
// from then has, if there is anything.
func (l *LayerDirs) Replace(id, from string) error {
	if err := l.Need(from); err != nil {
		return err
	}
	err := l.RenameNew(from, id)
	if errors.Is(err, fs.ErrExist) {
		err = l.Exchange(from, id)
	}
	return Classify(err)
}

// Remove takes the layer's directory away in one step and deletes it, along
// with what an interrupted Build or Remove has left of the layer. forget is
// called with every directory that is to be deleted, to undo what refers to
// it; it may be called again for a directory of which less is left. found
// tells whether there was a directory.
func (l *LayerDirs) Remove(ctx context.Context, id string, forget func(dir *at.Dir) error) (found bool, err error) {
	defer func() { err = Classify(err) }()
	if err := CheckLayer(id); err != nil {
		return false, err
	}
	part := partPrefix + id
	if found, err = l.discard(ctx, part, forget); err != nil {
		return found, err
	}
	switch err := l.RenameNew(id, part); {
	case errors.Is(err, fs.ErrNotExist):
		return found, nil
	case err != nil:
		return found, err
	}
	return l.discard(ctx, part, forget)
}

// discard lets forget see the directory and deletes it. What has the name of a
// directory and is none has nothing that refers to it.
func (l *LayerDirs) discard(ctx context.Context, name string, forget func(dir *at.Dir) error) (found bool, err error) {
	if found, err = l.IsDir(name); err != nil {
		return found, err
	}
	if found {
		dir, err := l.Sub(name)
		if err != nil {
			return found, err
		}
		if err := errors.Join(forget(dir), dir.Close()); err != nil {
			return found, err
		}
	}
	return found, l.delete(ctx, name)
}

func (l *LayerDirs) delete(ctx context.Context, name string) error {
	if err := l.RemoveTree(ctx, name); err != nil {
		return fmt.Errorf("deleting %s: %w", l.Path(name), err)
	}
	return nil
}
