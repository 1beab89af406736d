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

// reap removes content that is in the trash. It may be called by anyone at any
// time; what somebody else is removing, or reading, is left to him or to later.
// It returns the entries that are done.
func (s *Store) reap(ctx context.Context, entries []db.Trash) (done []db.Trash, err error) {
	var errs []error
	for _, t := range entries {
		ok, err := s.reapOne(ctx, t)
		if err != nil {
			errs = append(errs, fmt.Errorf("trash %s: %w", t.Path, err))
		}
		if ok {
			done = append(done, t)
		}
	}
	crashpoint.Hit(crashpoint.ReapRemoved)
	if len(done) > 0 {
		paths := make([]string, len(done))
		for i, t := range done {
			paths[i] = t.Path
		}
		errs = append(errs, s.db.Update(ctx, func(tx *db.Tx) error { return tx.RemoveTrash(paths...) }))
	}
	return done, errors.Join(errs...)
}

// reapOne removes the content of one entry, if the entry still stands and
// nobody else is at it.
func (s *Store) reapOne(ctx context.Context, t db.Trash) (done bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	if t.Kind == db.TrashLayer {
		// Whoever reads the layer for a diff holds its lock shared.
		lock, err := s.keys.TryLock(layerKey(model.LayerID(t.ID)), flock.Exclusive)
		if err != nil || lock == nil {
			return false, err
		}
		defer lock.Unlock()
	}
	lock, err := s.keys.TryLock(pathKey(t.Path), flock.Exclusive)
	if err != nil || lock == nil {
		return false, err
	}
	defer lock.Unlock()
	stands := false
	err = s.db.View(ctx, func(tx *db.ReadTx) error {
		_, err := tx.Trash(t.Path)
		stands = err == nil
		return ignoreNotFound(err)
	})
	if err != nil || !stands {
		return false, err
	}
	crashpoint.Hit(crashpoint.ReapLocked)
	return true, s.removeTrash(ctx, t)
}

// removeTrash removes the content of an entry. A layer is unmounted first.
func (s *Store) removeTrash(ctx context.Context, t db.Trash) error {
	if t.Kind != db.TrashLayer {
		return s.removeContent(ctx, t.Kind, t.Path, t.Dir)
	}
	if err := s.forgetMount(ctx, model.LayerID(t.ID), t.Dir); err != nil {
		return err
	}
	return s.removeContent(ctx, t.Kind, t.Path, t.Dir)
}
