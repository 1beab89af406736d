package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// ImageSpec says what a new image shall be. All of it is optional.
type ImageSpec struct {
	// ID is the image's ID; one is generated if it is empty.
	ID model.ImageID
	// TopLayer is the image's top layer, or "" for an image without layers.
	TopLayer model.LayerID
	// Names are given to the image; they must be free.
	Names []string
	// NamesHistory lists names that the image had before.
	NamesHistory []string
	// Digest is a digest by which the image can be found, in addition to
	// those of its manifests.
	Digest   digest.Digest
	Metadata string
	// Created is when the image was made; the zero time means now.
	Created time.Time
	Flags   map[string]any
}

// CreateImage makes an image. If there is one with the ID of the spec whose record
// is damaged, that is replaced, and keeps its names and data items. One of an
// additional store that has the ID is hidden by the new one, which has nothing of
// it, see AddImage.
func (tx *Tx) CreateImage(spec ImageSpec) (*model.Image, error) {
	if spec.ID == "" {
		spec.ID = model.NewImageID()
	}
	if spec.Digest != "" {
		if err := spec.Digest.Validate(); err != nil {
			return nil, model.OnObject(model.KindImage, spec.ID, fmt.Errorf("digest %q: %w: %w", spec.Digest, model.ErrInvalid, err))
		}
	}
	if spec.TopLayer != "" {
		top, err := tx.db.Layer(spec.TopLayer)
		if err == nil {
			err = top.Damaged()
		}
		if err != nil {
			return nil, model.OnObject(model.KindImage, spec.ID, fmt.Errorf("top layer: %w", err))
		}
	}
	i := &model.Image{
		ID: spec.ID, Names: spec.Names, NamesHistory: spec.NamesHistory, Created: spec.Created,
		TopLayer: spec.TopLayer, Digest: spec.Digest, Metadata: spec.Metadata, Flags: spec.Flags,
	}
	err := tx.db.CreateImage(i)
	if errors.Is(err, model.ErrDuplicateID) {
		err = tx.inPlaceOfUnreadable(spec.ID, err, func(_ *place, r *db.Remains) error {
			i.Names = append(i.Names, r.Names...)
			return tx.db.CreateImage(i)
		})
	}
	if err != nil {
		return nil, err
	}
	return i, nil
}

// DeleteImage deletes an image that no container uses and that is not leased, and
// those of its layers that nothing else needs: the mapped variants of the top
// layer, the top layer, its parent and so on up to the first layer that is a
// container's, a top layer of another image, has other children, or is leased; a
// mapped variant that something else needs stays, and the top layer with it. It returns the IDs of the layers in
// that order. Their content goes after the commit.
func (tx *Tx) DeleteImage(id model.ImageID) ([]model.LayerID, error) {
	layers, err := tx.LayersOnlyOf(id)
	if errors.Is(err, model.ErrCorrupt) {
		return nil, tx.deleteUnreadableImage(id, err)
	}
	if err != nil {
		return nil, err
	}
	p, err := tx.db.placeTo(id)
	if err != nil {
		return nil, err
	}
	_, files, err := tx.db.DeleteImage(p, id)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(tx.trashContents(p, files, id), tx.trashUserDir(p, id)); err != nil {
		return nil, err
	}
	for _, layer := range layers {
		if err := tx.deleteLayer(layer); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

// LayersOnlyOf returns the layers that DeleteImage would delete together with
// the image, or the error that it would return.
func (tx *ReadTx) LayersOnlyOf(id model.ImageID) ([]model.LayerID, error) {
	image, err := tx.db.Image(id)
	if errors.Is(err, model.ErrNotFound) || err == nil && image.ReadOnly {
		err = model.OnObject(model.KindImage, id, model.ErrNotAnImage)
	}
	if err != nil {
		return nil, err
	}
	users, err := tx.db.ContainersOfImage(id)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return nil, model.OnObject(model.KindImage, id, fmt.Errorf("%w: %v", model.ErrImageUsedByContainer, users))
	}
	if err := errors.Join(tx.unleased(id), tx.db.unheld(id)); err != nil {
		return nil, err
	}
	doomed, err := tx.mappedOnlyOf(image)
	if err != nil {
		return nil, err
	}
	if len(doomed) < len(image.MappedTopLayers) {
		return doomed, nil // something is on top of a variant of the top layer
	}
	for layer := image.TopLayer; layer != ""; {
		record, err := tx.db.Layer(layer)
		if errors.Is(err, model.ErrNotFound) || err == nil && record.ReadOnly {
			break // deleted by force, or not ours
		}
		if err != nil {
			return nil, err
		}
		needed, err := tx.neededWithout(layer, id, doomed)
		if err != nil {
			return nil, err
		}
		if needed {
			break
		}
		doomed = append(doomed, layer)
		layer = record.Parent
	}
	// What has been deleted by force need not be deleted again.
	return slices.DeleteFunc(doomed, func(l model.LayerID) bool {
		_, err := tx.db.Uses(l)
		return errors.Is(err, model.ErrNotFound)
	}), nil
}

// mappedOnlyOf returns the mapped variants of an image's top layer that nothing
// else needs.
func (tx *ReadTx) mappedOnlyOf(image *model.Image) (doomed []model.LayerID, err error) {
	for _, mapped := range image.MappedTopLayers {
		needed, err := tx.neededWithout(mapped, image.ID, nil)
		if err != nil {
			return nil, err
		}
		if !needed {
			doomed = append(doomed, mapped)
		}
	}
	return doomed, nil
}

// neededWithout tells whether a layer would still be needed, or kept by a lease,
// without the given image and the given layers.
func (tx *ReadTx) neededWithout(layer model.LayerID, image model.ImageID, doomed []model.LayerID) (bool, error) {
	containers, err := tx.db.ContainersOfLayer(layer)
	if err != nil || len(containers) > 0 {
		return len(containers) > 0, err
	}
	images, err := tx.db.ImagesOfLayer(layer)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(images, func(user model.ImageID) bool { return user != image }) {
		return true, nil
	}
	children, err := tx.db.Children(layer)
	if err != nil || slices.ContainsFunc(children, func(child model.LayerID) bool { return !slices.Contains(doomed, child) }) {
		return true, err
	}
	if lease, err := tx.leaseOn(layer); err != nil || lease != nil {
		return true, err
	}
	hold, err := tx.db.heldBy(layer)
	return hold != nil, err
}

// CreateImage is Tx.CreateImage in a transaction of its own. If there is an image
// with that ID in an additional store, the new one begins as a copy of it, see
// Tx.AddImage.
func (s *Store) CreateImage(ctx context.Context, spec ImageSpec) (image *model.Image, err error) {
	staged, err := s.pullUp(ctx, spec.ID)
	if err != nil {
		return nil, err
	}
	if staged == nil {
		return update(ctx, s, func(tx *Tx) (*model.Image, error) { return tx.CreateImage(spec) })
	}
	defer func() { discardAfter(ctx, staged, &err) }()
	return update(ctx, s, func(tx *Tx) (*model.Image, error) { return tx.AddImage(staged, spec) })
}

// DeleteImage is Tx.DeleteImage in a transaction of its own.
func (s *Store) DeleteImage(ctx context.Context, id model.ImageID) ([]model.LayerID, error) {
	return update(ctx, s, func(tx *Tx) ([]model.LayerID, error) { return tx.DeleteImage(id) })
}
