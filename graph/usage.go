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
			chain, errChain := tx.chain(top, seen)
			err = errors.Join(err, errChain)
			for _, l := range chain {
				if l.Diff != nil {
					total += l.Diff.Size
				} else {
					unknown = append(unknown, l.ID)
				}
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
	for _, root := range []string{s.options.Root, s.options.RunRoot} { // containers are never in an image store
		size, err := archive.TreeSize(ctx, filepath.Join(root, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, model.OnObject(model.KindContainer, id, fmt.Errorf("directory: %w", err))
		}
		total += size
	}
	return total, nil
}
