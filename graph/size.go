package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// Size says how much an object takes, in bytes.
type Size struct {
	// Own is what belongs to the object itself: a layer's own content as
	// measured on disk when its diff was applied, and the data items.
	// It is model.SizeUnknown for a layer that has been written to by hand.
	Own int64 `json:"own"`
	// Shared and Unique are the layers that the object needs besides: those
	// that something else needs too, and those that nothing else needs.
	Shared int64 `json:"shared"`
	Unique int64 `json:"unique"`
}

// LayerSize says how much a layer takes together with its ancestors.
func (tx *ReadTx) LayerSize(id model.LayerID) (Size, error) {
	l, err := tx.db.Layer(id)
	if err != nil {
		return Size{}, err
	}
	size, err := tx.dataSize(id)
	if err != nil {
		return Size{}, err
	}
	if l.Size < 0 {
		size.Own = model.SizeUnknown
	} else {
		size.Own += l.Size
	}
	uses, err := tx.db.Uses(id)
	if err != nil {
		return Size{}, err
	}
	return tx.addLayers(size, l.Parent, uses <= 1)
}

// ImageSize says how much an image takes together with its layers.
func (tx *ReadTx) ImageSize(id model.ImageID) (Size, error) {
	image, err := tx.db.Image(id)
	if err != nil {
		return Size{}, err
	}
	size, err := tx.dataSize(id)
	if err != nil {
		return Size{}, err
	}
	for _, mapped := range image.MappedTopLayers {
		l, err := tx.db.Layer(mapped)
		if err != nil {
			return Size{}, ignoreNotFound(err)
		}
		size.Unique += max(l.Size, 0)
	}
	return tx.addLayers(size, image.TopLayer, true)
}

// ContainerSize says how much a container takes together with its image. What
// has been written to its layer is not known; see Store.ContainerUsage.
func (tx *ReadTx) ContainerSize(id model.ContainerID) (Size, error) {
	c, err := tx.db.Container(id)
	if err != nil {
		return Size{}, err
	}
	size, err := tx.dataSize(id)
	if err != nil {
		return Size{}, err
	}
	own, err := tx.db.Layer(c.Layer)
	if errors.Is(err, model.ErrNotFound) {
		return size, nil // deleted by force
	}
	if err != nil {
		return Size{}, err
	}
	if own.Size < 0 {
		size.Own = model.SizeUnknown
	} else {
		size.Own += own.Size
	}
	return tx.addLayers(size, own.Parent, true)
}

// dataSize sums up the data items of an object.
func (tx *ReadTx) dataSize(id model.ID) (size Size, err error) {
	items, err := tx.Data(id)
	for _, item := range items {
		size.Own += item.Content.Size
	}
	return size, err
}

// addLayers adds a chain of layers to a size. They are unique to the object as
// long as each has a single use.
func (tx *ReadTx) addLayers(size Size, id model.LayerID, unique bool) (Size, error) {
	for id != "" {
		l, err := tx.db.Layer(id)
		if errors.Is(err, model.ErrNotFound) {
			return size, nil // deleted by force
		}
		if err != nil {
			return size, err
		}
		uses, err := tx.db.Uses(id)
		if err != nil {
			return size, err
		}
		if unique = unique && uses <= 1; unique {
			size.Unique += max(l.Size, 0)
		} else {
			size.Shared += max(l.Size, 0)
		}
		id = l.Parent
	}
	return size, nil
}

// ImageUsage returns how large an image is, in bytes: the uncompressed diffs
// of all its layers, each counted once, and its data items. The diff of a
// layer that was not made from one is measured.
func (s *Store) ImageUsage(ctx context.Context, id model.ImageID) (int64, error) {
	var total int64
	var unknown []model.LayerID
	err := s.View(ctx, func(tx *ReadTx) error {
		image, err := tx.db.Image(id)
		if err != nil {
			return err
		}
		size, err := tx.dataSize(id)
		total = size.Own
		seen := make(map[model.LayerID]bool)
		for _, top := range image.TopLayers() {
			for layer := top; layer != "" && !seen[layer] && err == nil; {
				seen[layer] = true
				var l *model.Layer
				if l, err = tx.db.Layer(layer); err != nil {
					break
				}
				if l.Diff != nil {
					total += l.Diff.Size
				} else {
					unknown = append(unknown, layer)
				}
				layer = l.Parent
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, layer := range unknown {
		size, err := s.DiffSize(ctx, layer, "")
		if err != nil {
			return 0, model.OnObject(model.KindImage, id, err)
		}
		total += size
	}
	return total, nil
}

// ContainerUsage returns how large a container is, in bytes: what it has in its
// own layer, its data items, and the directories that belong to whoever uses
// it.
func (s *Store) ContainerUsage(ctx context.Context, id model.ContainerID) (int64, error) {
	var total int64
	var layer model.LayerID
	err := s.View(ctx, func(tx *ReadTx) error {
		c, err := tx.db.Container(id)
		if err != nil {
			return err
		}
		layer = c.Layer
		size, err := tx.dataSize(id)
		total = size.Own
		return err
	})
	if err != nil {
		return 0, err
	}
	size, err := s.DiffSize(ctx, layer, "")
	if err != nil {
		return 0, model.OnObject(model.KindContainer, id, err)
	}
	total += size
	dir := content.UserDir(s.info.Driver, model.KindContainer, string(id))
	for _, root := range []string{s.options.Root, s.options.RunRoot} {
		size, err := archive.TreeSize(ctx, filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, model.OnObject(model.KindContainer, id, fmt.Errorf("directory: %w", err))
		}
		total += size
	}
	return total, nil
}
