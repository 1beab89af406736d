package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// The record of an object may be damaged, so that nothing is known of it but what
// the indexes tell. It can be deleted nevertheless, and an image or a layer can be
// made anew in its place. Nothing of that happens often, so that the whole
// database may be read for it.

// remains returns what is known of an object whose record is damaged. If it is
// not, the error is the one because of which that was supposed.
func (tx *ReadTx) remains(ctx context.Context, id model.ID, supposed error) (*db.Remains, error) {
	p, err := tx.db.placeOf(id)
	if err != nil {
		return nil, errors.Join(supposed, err)
	}
	damaged, err := p.db.IsUnreadable(id.Kind(), id.String())
	if err != nil || !damaged {
		return nil, errors.Join(supposed, err)
	}
	return p.db.Remains(ctx, id.Kind(), id.String())
}

// inPlaceOfUnreadable calls create when the record of an object that is damaged
// has been removed, see remains.
func (tx *Tx) inPlaceOfUnreadable(id model.ID, supposed error, create func(*place, *db.Remains) error) error {
	remains, err := tx.remains(tx.ctx, id, supposed)
	if err != nil {
		return err
	}
	p, err := tx.db.placeTo(id)
	if err != nil {
		return err
	}
	if _, err := p.tx.DiscardUnreadable(tx.ctx, id.Kind(), id.String(), false); err != nil {
		return err
	}
	return create(p, remains)
}

// deleteUnreadable deletes an object whose record is damaged, see remains. What
// cannot be found by the indexes is content without a record then, see Recover.
func (tx *Tx) deleteUnreadable(p *place, id model.ID, supposed error) error {
	remains, err := tx.remains(tx.ctx, id, supposed)
	if err != nil {
		return err
	}
	files, err := p.tx.DiscardUnreadable(tx.ctx, id.Kind(), id.String(), true)
	if err != nil {
		return err
	}
	if remains.TarSplit != "" {
		files = append(files, model.Content{Path: remains.TarSplit})
	}
	if err := tx.trashContents(p, files, id); err != nil {
		return err
	}
	switch id := id.(type) {
	case model.LayerID: // of which the usual directory is not needed any more
		return tx.addTrash(p, db.Trash{
			Path: p.home.layerPath(string(id)), Kind: db.TrashLayer, Dir: string(id), ObjectKind: model.KindLayer, ID: string(id),
		})
	case model.ContainerID:
		if remains.Layer != "" {
			if err := tx.deleteLayer(remains.Layer); !errors.Is(err, model.ErrLayerUnknown) {
				return err
			}
		}
	}
	return tx.trashUserDir(p, id)
}

// deleteUnreadableImage is deleteUnreadable for an image that no container uses
// and that is not leased. Its layers stay: which of them are its own is not known.
func (tx *Tx) deleteUnreadableImage(id model.ImageID, supposed error) error {
	users, err := tx.db.ContainersOfImage(id)
	if err == nil && len(users) > 0 {
		err = model.OnObject(model.KindImage, id, fmt.Errorf("%w: %v", model.ErrImageUsedByContainer, users))
	}
	if err == nil {
		err = errors.Join(tx.unleased(id), tx.db.unheld(id))
	}
	if err != nil {
		return err
	}
	p, err := tx.db.placeTo(id)
	if err != nil {
		return err
	}
	return tx.deleteUnreadable(p, id, supposed)
}

// renewing makes a staged layer one that takes the place of one whose record is
// damaged.
func (l *StagedLayer) renewing(ctx context.Context, tx *ReadTx, supposed error) error {
	remains, err := tx.remains(ctx, l.layer.ID, supposed)
	if err != nil {
		return err
	}
	if remains.Parent != l.layer.Parent {
		return fmt.Errorf("%w: its record is damaged, and its parent was %q and not %q", model.ErrDuplicateID, remains.Parent, l.layer.Parent)
	}
	l.heals, l.renews, l.expected = true, true, remains.Diff
	return nil
}

// renew calls create for a layer that takes the place of one whose record is
// damaged. That one's names and data items are the new one's.
func (tx *Tx) renew(l *model.Layer, supposed error, create func() error) error {
	return tx.inPlaceOfUnreadable(l.ID, supposed, func(p *place, r *db.Remains) error {
		l.Names = append(l.Names, r.Names...)
		if r.TarSplit != "" {
			if err := tx.discardContent(p, &model.Content{Path: r.TarSplit}, l.ID); err != nil {
				return err
			}
		}
		return create()
	})
}
