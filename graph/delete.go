package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/model"
)

// Delete deletes an object without asking whether another one needs it: a
// container with its layer, an image without its layers, a layer even if
// others are on top of it. What referred to it then refers to nothing. What is
// leased itself is not deleted.
func (tx *Tx) Delete(id model.ID) error {
	if err := tx.unleased(id); err != nil {
		return err
	}
	switch id := id.(type) {
	case model.ContainerID:
		return tx.DeleteContainer(id)
	case model.ImageID:
		p, err := tx.db.placeTo(id)
		if err != nil {
			return err
		}
		_, files, err := tx.db.DeleteImage(p, id)
		if errors.Is(err, model.ErrCorrupt) {
			return tx.deleteUnreadable(p, id, err)
		}
		if err != nil {
			return err
		}
		return errors.Join(tx.trashContents(p, files, id), tx.trashUserDir(p, id))
	case model.LayerID:
		return tx.deleteLayer(id)
	}
	return fmt.Errorf("%w: object %s has no kind", model.ErrInvalid, id)
}

// Delete is Tx.Delete in a transaction of its own.
func (s *Store) Delete(ctx context.Context, id model.ID) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Delete(id) })
}

// wipeBatch is how many objects one transaction of Wipe deletes, so that
// others who want to write need not wait for all of it.
const wipeBatch = 200

// Wipe ends all leases, deletes all containers, images and layers, unmounts what
// is mounted, and removes everything else that is in the directories of the
// store. What is in additional stores stays, and what other stores need of an image
// store.
func (s *Store) Wipe(ctx context.Context) error {
	if err := s.writable(); err != nil {
		return err
	}
	for {
		done, err := update(ctx, s, func(tx *Tx) (bool, error) {
			if err := tx.endLeases(ctx); err != nil {
				return false, err
			}
			return tx.wipeSome()
		})
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	_, err := s.Recover(ctx)
	return err
}

// wipeSome deletes some objects, users before what they use.
func (tx *Tx) wipeSome() (done bool, err error) {
	containers, err := every(tx.db.own, func(p *place) ([]*model.Container, error) { return p.db.Containers() })
	if err != nil {
		return false, err
	}
	images, err := every(tx.db.own, func(p *place) ([]*model.Image, error) { return p.db.Images() })
	if err != nil {
		return false, err
	}
	layers, err := every(tx.db.own, func(p *place) ([]*model.Layer, error) { return p.db.Layers() })
	if err != nil {
		return false, err
	}
	var ids []model.ID
	for _, c := range containers {
		ids = append(ids, c.ID)
	}
	for _, i := range images {
		ids = append(ids, i.ID)
	}
	for _, l := range slices.Backward(layers) {
		ids = append(ids, l.ID)
	}
	held, err := tx.held()
	if err != nil {
		return false, err
	}
	ids = slices.DeleteFunc(ids, func(id model.ID) bool { return held[id] })
	for _, id := range ids[:min(len(ids), wipeBatch)] {
		// The layers of the containers have gone with them.
		if err := tx.Delete(id); err != nil && !errors.Is(err, model.ErrNotFound) {
			return false, err
		}
	}
	return len(ids) <= wipeBatch, nil
}
