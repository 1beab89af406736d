package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// The driver knows layers by the names of their directories, which are their
// IDs as a rule, and has no records. So there can be layers that only the
// driver knows: somebody died, or made them on purpose. Nothing can be done with
// them but to remove them, as Recover does.

// DriverLayers returns the IDs of the layers that the driver has, sorted,
// whether they have a record or not. An empty layer has no directory until that
// is needed; it is listed nevertheless. What is deleted and has not been
// removed yet is not.
func (s *Store) DriverLayers(ctx context.Context) ([]string, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	ids := []string{}
	for _, home := range s.owner.homes() {
		some, err := home.listDriverLayers(ctx)
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	err := s.View(ctx, func(tx *ReadTx) error {
		return tx.db.EachLayer(func(l *model.Layer) error {
			if !l.Made {
				ids = append(ids, string(l.ID))
			}
			return context.Cause(ctx)
		})
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// listDriverLayers returns the IDs of the layers that have a directory and have
// not been deleted.
func (s *Store) listDriverLayers(ctx context.Context) (ids []string, err error) {
	dirs, err := s.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	return ids, s.viewOwn(ctx, func(own records) error {
		for _, dir := range dirs {
			deleted, err := own.inTrash(s.layerPath(dir))
			if err != nil {
				return err
			}
			if !deleted {
				ids = append(ids, idOfDir(dir))
			}
		}
		return nil
	})
}

// idOfDir returns the ID of the layer that a directory of the driver is for.
func idOfDir(dir string) string {
	if id, err := model.ParseLayerDir(dir); err == nil {
		return string(id)
	}
	return dir
}

// StrayLayers returns the driver's names for the layers that only the driver
// knows, sorted. What somebody is making at this moment is not among them.
func (s *Store) StrayLayers(ctx context.Context) ([]string, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	strays, err := s.strays(ctx)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range strays {
		if e.Kind != db.TrashLayer {
			continue
		}
		lock, err := s.keys.TryLock(pathKey(e.Path), flock.Exclusive)
		if err != nil {
			return nil, err
		}
		if lock == nil {
			continue
		}
		stray, err := s.isStrayLayer(ctx, e)
		lock.Unlock()
		if err != nil {
			return nil, err
		}
		if stray {
			dirs = append(dirs, e.Dir)
		}
	}
	return dirs, nil
}

// isStrayLayer tells whether a layer that nobody works on, and that seemed to be
// one that only the driver knows, is one: since it was listed it may have been
// committed, or removed with its record.
func (s *Store) isStrayLayer(ctx context.Context, e db.Staged) (bool, error) {
	used, err := s.pathUsed(ctx, e.Kind, e.Path)
	if err != nil || used {
		return false, err
	}
	return s.driver.Exists(ctx, e.Dir)
}

// RemoveStrayLayer removes a layer that only the driver knows, by the driver's
// name for it. If it has a record the error matches model.ErrInUse; if somebody
// is at work on it, model.ErrBusy.
func (s *Store) RemoveStrayLayer(ctx context.Context, dir string) error {
	if err := s.writable(); err != nil {
		return err
	}
	became, err := s.removeStray(ctx, db.Staged{Path: s.layerPath(dir), Kind: db.TrashLayer, Dir: dir})
	switch {
	case err != nil:
	case became == strayNeeded:
		err = fmt.Errorf("%w: it has a record", model.ErrInUse)
	case became == strayBusy:
		err = model.ErrBusy
	}
	return model.OnObject(model.KindLayer, dir, err)
}

// CreateDriverLayer makes a layer that only the driver knows, of which Recover
// does not leave anything, and returns its ID. Of spec ID, Parent, MountLabel,
// StorageOpt and Writable count; Parent is the driver's name for a layer, or the
// ID of one. If there is a layer of that ID, with or without a record, the error
// matches model.ErrDuplicateID.
func (s *Store) CreateDriverLayer(ctx context.Context, spec LayerSpec) (model.LayerID, error) {
	if err := s.writable(); err != nil {
		return "", err
	}
	l := spec.record()
	err := model.ValidateID(model.KindLayer, string(l.ID))
	if err == nil {
		err = s.createDriverLayer(ctx, l)
	}
	return l.ID, model.OnObject(model.KindLayer, l.ID, err)
}

func (s *Store) createDriverLayer(ctx context.Context, l *model.Layer) error {
	name := s.layerPath(string(l.ID))
	lock, err := s.keys.Lock(ctx, pathKey(name), flock.Exclusive)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	used, err := s.pathUsed(ctx, db.TrashLayer, name)
	if err != nil {
		return err
	}
	_, err = s.layerRecord(ctx, l.ID)
	if err := ignoreNotFound(err); err != nil {
		return err
	}
	if used || err == nil {
		return model.ErrDuplicateID
	}
	parent, unlock, err := s.driverParent(ctx, l.Parent)
	if err != nil {
		return fmt.Errorf("parent: %w", err)
	}
	defer unlock()
	disks, err := s.openSyncer()
	if err != nil {
		return err
	}
	defer disks.close()
	err = s.driver.Create(ctx, string(l.ID), parent, drivers.CreateOptions{
		Writable: l.Writable, StorageOpt: l.StorageOpt, MountLabel: l.MountLabel,
	})
	if errors.Is(err, model.ErrExists) {
		err = model.ErrDuplicateID
	}
	if err != nil {
		return err
	}
	return disks.sync()
}

// driverParent returns the driver's name for a layer that another one is to be
// made on, with or without a record. It stays until unlock is called.
func (s *Store) driverParent(ctx context.Context, id model.LayerID) (dir string, unlock func(), err error) {
	if id == "" {
		return "", func() {}, nil
	}
	switch l, err := s.makeLayer(ctx, id); {
	case err == nil:
		if err := l.Damaged(); err != nil {
			return "", nil, err
		}
		home, err := s.homeOf(ctx, id)
		if err != nil {
			return "", nil, err
		}
		lock, err := lockLayers(ctx, home.toRead(id)...)
		if err != nil {
			return "", nil, err
		}
		return dirOf(l), func() { lock.unlock(ctx) }, nil
	case !errors.Is(err, model.ErrNotFound):
		return "", nil, err
	}
	// Who makes two layers on top of each other must not wait for himself.
	lock, err := s.keys.TryLock(pathKey(s.layerPath(string(id))), flock.Shared)
	if err == nil && lock == nil {
		err = model.OnObject(model.KindLayer, id, model.ErrBusy)
	}
	if err != nil {
		return "", nil, err
	}
	exists, err := s.driver.Exists(ctx, string(id))
	if err == nil && !exists {
		err = model.Unknown(model.KindLayer, id)
	}
	if err != nil {
		lock.Unlock()
		return "", nil, err
	}
	return string(id), lock.Unlock, nil
}
