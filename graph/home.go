package graph

import (
	"context"
	"fmt"

	"github.com/csdb/csdb/model"
)

// layerRecord returns the record of a layer.
func (s *Store) layerRecord(ctx context.Context, id model.LayerID) (*model.Layer, error) {
	return view(ctx, s, func(tx *ReadTx) (*model.Layer, error) { return tx.db.Layer(id) })
}

// layerAt returns the record of a layer, and the store that has its content.
func (s *Store) layerAt(ctx context.Context, id model.LayerID) (l *model.Layer, home *Store, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		if l, err = tx.db.Layer(id); err != nil {
			return err
		}
		at, err := tx.db.placeOf(id)
		if err == nil {
			home = at.home
		}
		return err
	})
	return l, home, err
}

// homeOf returns the store that has the content of an object.
func (s *Store) homeOf(ctx context.Context, id model.ID) (*Store, error) {
	return view(ctx, s, func(tx *ReadTx) (*Store, error) {
		at, err := tx.db.placeOf(id)
		if err != nil {
			return nil, err
		}
		return at.home, nil
	})
}

// isHidden tells whether a layer is that of a container which cannot be seen.
func (s *Store) isHidden(ctx context.Context, id model.LayerID) (bool, error) {
	return view(ctx, s, func(tx *ReadTx) (bool, error) {
		at, err := tx.db.placeOf(id)
		return err == nil && at.role == roleHidden, ignoreNotFound(err)
	})
}

// homeToChange returns the store that has the content of an object, which is to
// be changed.
func (s *Store) homeToChange(ctx context.Context, id model.ID) (home *Store, err error) {
	if err := s.owner.writable(); err != nil {
		return nil, err
	}
	return view(ctx, s, func(tx *ReadTx) (*Store, error) {
		if err := tx.changeable(id); err != nil {
			return nil, err
		}
		at, err := tx.db.placeOf(id)
		if err != nil {
			return nil, err
		}
		return at.home, nil
	})
}

// changeable returns an error if an object does not exist, or is in a store that
// is only read.
func (tx *ReadTx) changeable(id model.ID) error {
	at, err := tx.db.placeOf(id)
	if err == nil && !at.own() {
		err = model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w: it is in %s", model.ErrStoreIsReadOnly, at.home.options.Root))
	}
	return err
}

// homeFor returns the store that gets the content of what has its record in a
// place.
func (s *Store) homeFor(role role) *Store {
	if role == roleImages && s.images != nil {
		return s.images
	}
	return s
}

// homeForData returns the store that gets the data items of an object. What does
// not exist yet will be where its kind belongs.
func (s *Store) homeForData(ctx context.Context, id model.ID) (*Store, error) {
	s = s.owner
	if s.images == nil {
		return s, nil
	}
	if id == nil {
		return s.images, nil
	}
	home, err := s.homeOf(ctx, id)
	if ignoreNotFound(err) != nil || err == nil && !home.options.ReadOnly {
		return home, err
	}
	if id.Kind() == model.KindContainer {
		return s, nil
	}
	return s.images, nil
}

// layerIDs returns IDs of layers as IDs of objects.
func layerIDs(ids []model.LayerID) []model.ID {
	all := make([]model.ID, len(ids))
	for i, id := range ids {
		all[i] = id
	}
	return all
}
