package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// An empty layer has no directory until it is needed: when it is mounted,
// written to, compared with another one than its parent, or made the parent of
// something that has content.

// layerKey is the key of the lock on a layer: exclusive for making, mounting,
// unmounting, changing and removing its content, shared for reading it.
func layerKey(id model.LayerID) string { return "layer:" + string(id) }

// lockLayer takes the lock on a layer.
func (s *Store) lockLayer(ctx context.Context, id model.LayerID, mode flock.Mode) (*flock.KeyLock, error) {
	lock, err := s.keys.Lock(ctx, layerKey(id), mode)
	return lock, model.OnObject(model.KindLayer, id, err)
}

// makeLayer sees to it that a layer and its ancestors have directories, and
// returns its record.
func (s *Store) makeLayer(ctx context.Context, id model.LayerID) (*model.Layer, error) {
	l, err := s.layerRecord(ctx, id)
	if err != nil || l.Made {
		return l, err
	}
	lock, err := s.lockLayer(ctx, id, flock.Exclusive)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	return s.makeLocked(ctx, id)
}

// layerRecord returns the record of a layer.
func (s *Store) layerRecord(ctx context.Context, id model.LayerID) (*model.Layer, error) {
	return view(ctx, s, func(tx *ReadTx) (*model.Layer, error) { return tx.db.Layer(id) })
}

// makeLocked is makeLayer for a caller who holds the lock on the layer.
// Ancestors are locked after their descendants, so nobody waits in a circle.
func (s *Store) makeLocked(ctx context.Context, id model.LayerID) (*model.Layer, error) {
	l, err := s.layerRecord(ctx, id)
	if err != nil || l.Made {
		return l, err
	}
	parentDir := ""
	if l.Parent != "" {
		parent, err := s.makeLayer(ctx, l.Parent)
		if err != nil {
			return nil, model.OnObject(model.KindLayer, id, fmt.Errorf("parent: %w", err))
		}
		parentDir = parent.DriverDir()
	}
	claims, err := s.claim(ctx, s.wantLayer(id))
	if err != nil {
		return nil, model.OnObject(model.KindLayer, id, err)
	}
	made, err := s.makeDir(ctx, l, claims[0], parentDir)
	if err != nil {
		return nil, model.OnObject(model.KindLayer, id, errors.Join(err, claims[0].discard(context.WithoutCancel(ctx))))
	}
	return made, nil
}

// makeDir makes the directory of an empty layer and notes that in its record.
func (s *Store) makeDir(ctx context.Context, l *model.Layer, c *claim, parentDir string) (*model.Layer, error) {
	if err := s.createDir(ctx, l, c.entry.Dir, parentDir); err != nil {
		return nil, err
	}
	if err := s.sync(); err != nil {
		return nil, err
	}
	crashpoint.Hit(crashpoint.MakeCreated)
	return update(ctx, s, func(tx *Tx) (*model.Layer, error) {
		if err := tx.enter(c); err != nil {
			return nil, err
		}
		return tx.db.UpdateLayer(db.OpMake, l.ID, func(l *model.Layer) error {
			l.Made, l.Size = true, model.SizeUnknown
			if c.entry.Dir != string(l.ID) {
				l.Dir = c.entry.Dir
			}
			return nil
		})
	})
}

// copiesParents tells whether the driver gives a new layer a copy of its
// parent's content, so that what happens to the parent later does not concern
// it.
func (s *Store) copiesParents() bool {
	copier, ok := s.driver.(interface{ CopiesParents() bool })
	return ok && copier.CopiesParents()
}

// beforeChange is called before the content of a layer may change. Children
// that were created before, and have no directory yet, must not see the change
// with a driver that copies parents.
func (s *Store) beforeChange(ctx context.Context, id model.LayerID) error {
	if !s.copiesParents() {
		return nil
	}
	children, err := view(ctx, s, func(tx *ReadTx) ([]model.LayerID, error) { return tx.db.Children(id) })
	if err != nil {
		return err
	}
	for _, child := range children {
		if _, err := s.makeLayer(ctx, child); err != nil {
			return fmt.Errorf("child of layer %q: %w", id, err)
		}
	}
	return nil
}
