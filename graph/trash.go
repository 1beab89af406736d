package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// patience is what a reaper does about a path that somebody else has locked.
type patience int

const (
	// patiently waits a moment, but not for a layer that is used. It is for who
	// has deleted an object himself: others look at its paths for an instant
	// only, or they are removing the very same, and then it is better gone when
	// the deletion returns.
	patiently patience = iota
	// hastily leaves it to whoever has the lock.
	hastily
)

// reapBatch is how many entries are removed from the trash by one transaction.
// A lock is held for each meanwhile.
const reapBatch = 100

// reap removes content that is in the trash, and the entries. It may be called
// by anyone at any time. A layer that somebody reads or changes is left to him,
// see layerLock.unlock; a content file that a view may be about to open, to
// that. It returns the entries that are done.
func (s *Store) reap(ctx context.Context, entries []db.Trash, p patience) (done []db.Trash, err error) {
	return s.reapNow(ctx, s.views.hold(entries), p)
}

// reapNow is reap for entries that no view is about to open. Whoever reaps
// several keeps the locks on their paths while he waits for the next one, so
// all take them in the same order.
func (s *Store) reapNow(ctx context.Context, entries []db.Trash, p patience) (done []db.Trash, err error) {
	entries = slices.SortedFunc(slices.Values(entries), func(a, b db.Trash) int { return strings.Compare(a.Path, b.Path) })
	var errs []error
	for batch := range slices.Chunk(entries, reapBatch) {
		some, err := s.reapSome(ctx, batch, p)
		done, errs = append(done, some...), append(errs, err)
	}
	return done, errors.Join(errs...)
}

// reapSome is reapNow for one batch.
func (s *Store) reapSome(ctx context.Context, entries []db.Trash, p patience) (done []db.Trash, err error) {
	var errs []error
	var paths []string
	var locks []*flock.KeyLock
	defer func() { // not before the entries have gone, see claim
		for _, lock := range locks {
			lock.Unlock()
		}
	}()
	for _, t := range entries {
		lock, err := s.reapContent(ctx, t, p)
		if err != nil {
			errs = append(errs, fmt.Errorf("trash %s: %w", t.Path, err))
		}
		if lock != nil {
			done, paths, locks = append(done, t), append(paths, t.Path), append(locks, lock)
		}
	}
	crashpoint.Hit(crashpoint.ReapRemoved)
	if len(done) > 0 {
		err = s.updateOwn(ctx, func(own []*db.Tx) error {
			for _, tx := range own {
				err = errors.Join(err, tx.RemoveTrash(paths...))
			}
			return err
		})
	}
	return done, errors.Join(append(errs, err)...)
}

// reapContent removes the content of one entry, if the entry still stands and
// nobody else is at it. It returns the lock on the path if the content is gone.
func (s *Store) reapContent(ctx context.Context, t db.Trash, p patience) (lock *flock.KeyLock, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	crashpoint.Hit(crashpoint.ReapFound)
	if t.Kind == db.TrashLayer {
		layer, err := s.lockSoon(ctx, contentKey(model.LayerID(t.ID)), p, momentOfUse)
		if err != nil || layer == nil {
			return nil, err
		}
		defer layer.Unlock()
	}
	lock, err = s.lockSoon(ctx, pathKey(t.Path), p, momentOfRemoval)
	if err != nil || lock == nil {
		return nil, err
	}
	gone, err := s.removeTrash(ctx, t)
	if !gone {
		lock.Unlock()
		return nil, err
	}
	return lock, nil
}

// lockSoon takes a lock unless somebody keeps it for longer than a moment; then
// it returns nil.
func (s *Store) lockSoon(ctx context.Context, key string, p patience, moment time.Duration) (*flock.KeyLock, error) {
	// A moment may pass before there is any waiting, so try first.
	lock, err := s.keys.TryLock(key, flock.Exclusive)
	if lock != nil || err != nil || p == hastily {
		return lock, err
	}
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	lock, err = s.keys.Lock(ctx, key, flock.Exclusive)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	return lock, err
}

const (
	// momentOfUse is how long a lock may be held by somebody who has no use for
	// what it protects: who has waited for it and was not wanted to any more,
	// or only looks whether there is something to do.
	momentOfUse = 100 * time.Millisecond
	// momentOfRemoval is how long somebody else may take to remove what is to
	// be removed. It may be for ever: a process that has been stopped keeps its
	// locks, and so does a store that does not know what became of its commit.
	momentOfRemoval = 2 * time.Second
)

// removeTrash removes the content of an entry if it still stands. The caller
// holds the locks.
func (s *Store) removeTrash(ctx context.Context, t db.Trash) (gone bool, err error) {
	stands, renewed := false, false
	err = s.viewOwn(ctx, func(own records) error {
		renewed = slices.ContainsFunc(own, func(tx *db.ReadTx) bool {
			_, err := tx.Layer(model.LayerID(t.ID))
			return !errors.Is(err, model.ErrNotFound)
		})
		stands, err = own.inTrash(t.Path)
		return err
	})
	if err != nil || !stands {
		return false, err
	}
	crashpoint.Hit(crashpoint.ReapLocked)
	if t.Kind == db.TrashLayer {
		err = s.unmountDir(ctx, t.Dir)
		if err == nil && !renewed { // else the count is that of the new layer
			err = s.forgetMount(ctx, model.LayerID(t.ID))
		}
		if err != nil {
			return false, err
		}
	}
	if err := s.removeContent(ctx, t.Kind, t.Path, t.Dir); err != nil {
		return false, err
	}
	return true, nil
}
