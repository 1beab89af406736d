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

// Unmount undoes one Mount, or all of them if force is set, and tells whether
// the layer is still mounted. ref means a container, a layer or, by its path, a
// mount point. If nothing was mounted the error matches
// model.ErrLayerNotMounted.
func (s *Store) Unmount(ctx context.Context, ref string, force bool) (still bool, err error) {
	if err := s.writable(); err != nil {
		return false, err
	}
	id, err := s.mountedLayer(ctx, ref)
	if err != nil {
		return false, err
	}
	return s.unmount(ctx, id, force)
}

// UnmountLayer undoes MountLayer, see Unmount.
func (s *Store) UnmountLayer(ctx context.Context, id model.LayerID, force bool) (still bool, err error) {
	if err := s.writable(); err != nil {
		return false, err
	}
	return s.unmount(ctx, id, force)
}

// UnmountImage undoes MountImage.
func (s *Store) UnmountImage(ctx context.Context, ref string, force bool) (still bool, err error) {
	if err := s.writable(); err != nil {
		return false, err
	}
	top, err := view(ctx, s, func(tx *ReadTx) (model.LayerID, error) { return tx.topLayer(ref) })
	if err != nil {
		return false, err
	}
	return s.unmount(ctx, top, force)
}

func (s *Store) unmount(ctx context.Context, id model.LayerID, force bool) (still bool, err error) {
	if s, err = s.homeOf(ctx, id); err != nil {
		return false, err
	}
	lock, err := s.lockMount(ctx, id)
	if err != nil {
		return false, err
	}
	defer lock.unlock(ctx)
	content, err := s.lockContent(ctx, id, flock.Shared)
	if err != nil {
		return false, err
	}
	defer content.unlock(ctx)
	l, err := s.layerRecord(ctx, id)
	if err != nil {
		return false, err
	}
	m, err := s.mountOf(ctx, l)
	if err != nil {
		return false, model.OnObject(model.KindLayer, id, err)
	}
	if m == nil {
		err := errors.Join(model.ErrLayerNotMounted, s.forgetMount(ctx, id))
		return false, model.OnObject(model.KindLayer, id, err)
	}
	if m.Count > 1 && !force {
		m.Count--
		return true, s.run.Update(ctx, func(tx *db.RunTx) error { return tx.SetMount(*m) })
	}
	err = s.unmountDir(ctx, l.DriverDir())
	if err == nil {
		err = s.forgetMount(ctx, id)
	}
	return false, model.OnObject(model.KindLayer, id, err)
}

// unmountDir unmounts a directory of the driver, if it is mounted. The caller
// holds the locks on its layer, or the one on its content exclusively.
func (s *Store) unmountDir(ctx context.Context, dir string) error {
	err := s.driver.Unmount(ctx, dir)
	crashpoint.Hit(crashpoint.UnmountDone)
	if errors.Is(err, model.ErrLayerUnknown) {
		return nil
	}
	return err
}

// forgetMount says that a layer is not mounted any more, however often it was.
// The caller holds the lock on its mount, or the one on its content exclusively.
func (s *Store) forgetMount(ctx context.Context, id model.LayerID) error {
	return s.run.Update(ctx, func(tx *db.RunTx) error { return tx.RemoveMount(id) })
}

// Shutdown prepares the end of all use of the store on this machine. If layers
// are mounted it returns them and an error that matches
// model.ErrLayerUsedByContainer, unless force is set: then it unmounts them. The
// store must be closed afterwards.
func (s *Store) Shutdown(ctx context.Context, force bool) ([]model.LayerID, error) {
	mounts, err := s.Mounts(ctx)
	if err != nil {
		return nil, err
	}
	var ids []model.LayerID
	for _, m := range mounts {
		ids = append(ids, m.Layer)
	}
	if len(ids) > 0 && !force {
		return ids, fmt.Errorf("%w: layers %v are mounted", model.ErrLayerUsedByContainer, ids)
	}
	var errs []error
	for _, id := range ids {
		if _, err := s.unmount(ctx, id, true); err != nil && !errors.Is(err, model.ErrLayerNotMounted) {
			errs = append(errs, err)
		}
	}
	return ids, errors.Join(errs...)
}
