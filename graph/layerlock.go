package graph

import (
	"context"
	"errors"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// There are two locks for each layer. The one on its content is exclusive for
// making, changing and removing it, and shared for reading and mounting it. The
// one on its mount is for mounting and unmounting it, and is taken first. So
// whoever mounts does not wait for whoever reads a long diff.

// contentKey is the key of the lock on the content of a layer.
func contentKey(id model.LayerID) string { return "layer:" + string(id) }

// mountKey is the key of the lock on the mount of a layer.
func mountKey(id model.LayerID) string { return "mount:" + string(id) }

// layerLock is a lock on a layer, or several that were taken together.
type layerLock struct {
	homes []*Store
	ids   []model.LayerID
	locks []*flock.KeyLock
}

// wanted is a lock that is wanted.
type wanted struct {
	home *Store // which has the layer
	id   model.LayerID
	key  string
	mode flock.Mode
}

// lockContent takes the lock on the content of a layer.
func (s *Store) lockContent(ctx context.Context, id model.LayerID, mode flock.Mode) (*layerLock, error) {
	return lockLayers(ctx, wanted{s, id, contentKey(id), mode})
}

// lockMount takes the lock on the mount of a layer.
func (s *Store) lockMount(ctx context.Context, id model.LayerID) (*layerLock, error) {
	return lockLayers(ctx, wanted{s, id, mountKey(id), flock.Exclusive})
}

// toRead returns the locks that it needs to read the content of a layer.
func (s *Store) toRead(id model.LayerID) []wanted {
	wants := []wanted{{s, id, contentKey(id), flock.Shared}}
	if _, viewer := s.driver.(drivers.Viewer); !viewer { // such a driver mounts a layer to read it
		wants = append(wants, wanted{s, id, mountKey(id), flock.Exclusive})
	}
	return wants
}

// lockLayers takes several locks. It never waits for one while it holds
// another, since nobody knows which of the layers is an ancestor of another
// one, and the content of a layer is locked before that of its ancestors.
func lockLayers(ctx context.Context, wants ...wanted) (*layerLock, error) {
	for {
		held := &layerLock{}
		missed, err := held.take(ctx, wants)
		if err == nil && missed == 0 {
			return held, nil
		}
		held.unlock(ctx)
		if err != nil {
			return nil, model.OnObject(model.KindLayer, wants[missed].id, err)
		}
		// Wait for the one that could not be had.
		wants = slices.Concat(wants[missed:], wants[:missed])
	}
}

// take takes locks, and waits for the first of them only. It returns the
// number of one that could not be had, or 0.
func (l *layerLock) take(ctx context.Context, wants []wanted) (missed int, err error) {
	for i, w := range wants {
		var lock *flock.KeyLock
		if i == 0 {
			lock, err = w.home.keys.Lock(ctx, w.key, w.mode)
		} else {
			lock, err = w.home.keys.TryLock(w.key, w.mode)
		}
		if err != nil || lock == nil {
			return i, err
		}
		l.add(w.home, w.id, lock)
	}
	return 0, nil
}

func (l *layerLock) add(home *Store, id model.LayerID, lock *flock.KeyLock) {
	l.homes, l.ids, l.locks = append(l.homes, home), append(l.ids, id), append(l.locks, lock)
}

// unlock gives the locks back. Whoever deleted a layer meanwhile could not
// remove its content; so that is done now. He looked at the lock after he had
// committed, so his trash entry is there to be found when it has been given
// back.
func (l *layerLock) unlock(ctx context.Context) {
	for _, lock := range l.locks {
		lock.Unlock()
	}
	ctx = context.WithoutCancel(ctx)
	for i, id := range l.ids {
		home := l.homes[i]
		if home.options.ReadOnly || slices.Contains(l.ids[:i], id) {
			continue
		}
		left, err := home.trashOf(ctx, id)
		if err == nil {
			_, err = home.reap(ctx, left, patiently)
		}
		if !errors.Is(err, model.ErrClosed) {
			home.logLeft(err)
		}
	}
}

// trashOf returns the entries of the trash for a layer.
func (s *Store) trashOf(ctx context.Context, id model.LayerID) (left []db.Trash, err error) {
	err = s.viewOwn(ctx, func(own records) error {
		left, err = own.trashWith(s.layerPath(string(id)))
		return err
	})
	return slices.DeleteFunc(left, func(t db.Trash) bool { return t.Kind != db.TrashLayer || t.ID != string(id) }), err
}
