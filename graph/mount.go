package graph

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// MountOptions are what may be said about a mount. A mount that is there
// already stays as it is.
type MountOptions struct {
	// ReadOnly mounts so that nothing can be changed.
	ReadOnly bool
	// Label is the SELinux label; "" means that of the layer.
	Label string
	// Options are mount options that replace the driver's configured ones.
	Options []string
	// NoVolatile mounts a volatile container like any other.
	NoVolatile bool
}

// Mount mounts the layer of a container, or else a layer, and returns where.
// Mounts are counted, across processes: it takes as many calls of Unmount to
// undo them.
func (s *Store) Mount(ctx context.Context, ref string, options MountOptions) (string, error) {
	return s.mount(ctx, options, func(tx *ReadTx) (model.LayerID, drivers.MountOptions, error) {
		return tx.mountTarget(ref, options)
	})
}

// MountImage mounts the top layer of an image so that nothing in it can be
// changed.
func (s *Store) MountImage(ctx context.Context, ref string, options MountOptions) (string, error) {
	options.ReadOnly = true
	return s.mount(ctx, options, func(tx *ReadTx) (model.LayerID, drivers.MountOptions, error) {
		image, err := tx.Image(ref)
		if err != nil {
			return "", drivers.MountOptions{}, err
		}
		if image.TopLayer == "" {
			return "", drivers.MountOptions{}, model.OnObject(model.KindImage, image.ID, fmt.Errorf("%w: it has no layers", model.ErrLayerUnknown))
		}
		return image.TopLayer, options.forDriver(""), nil
	})
}

// forDriver returns the options as the driver wants them.
func (o MountOptions) forDriver(label string) drivers.MountOptions {
	if o.Label != "" {
		label = o.Label
	}
	return drivers.MountOptions{ReadOnly: o.ReadOnly, Label: label, Options: o.Options}
}

// mountTarget returns the layer that Mount mounts, and how.
func (tx *ReadTx) mountTarget(ref string, options MountOptions) (model.LayerID, drivers.MountOptions, error) {
	id, err := tx.Find(ref, model.KindContainer, model.KindLayer)
	if err != nil {
		if errors.Is(err, model.ErrNotFound) {
			err = model.Unknown(model.KindLayer, ref)
		}
		return "", drivers.MountOptions{}, err
	}
	if id.Kind() == model.KindLayer {
		l, err := tx.db.Layer(model.LayerID(id.String()))
		if err != nil {
			return "", drivers.MountOptions{}, err
		}
		return l.ID, options.forDriver(l.MountLabel), nil
	}
	c, err := tx.db.Container(model.ContainerID(id.String()))
	if err != nil {
		return "", drivers.MountOptions{}, err
	}
	mount := options.forDriver(c.MountLabel())
	if len(mount.Options) == 0 {
		mount.Options = c.MountOpts()
	}
	mount.Volatile = c.Volatile() && !options.NoVolatile
	return c.Layer, mount, nil
}

// mount mounts the layer that target finds, and counts.
func (s *Store) mount(ctx context.Context, options MountOptions, target func(*ReadTx) (model.LayerID, drivers.MountOptions, error)) (string, error) {
	if err := s.writable(); err != nil {
		return "", err
	}
	var id model.LayerID
	var how drivers.MountOptions
	err := s.View(ctx, func(tx *ReadTx) (err error) {
		id, how, err = target(tx)
		return err
	})
	if err != nil {
		return "", err
	}
	if !options.ReadOnly {
		if err := s.beforeChange(ctx, id); err != nil {
			return "", err
		}
	}
	lock, err := s.lockLayer(ctx, id, flock.Exclusive)
	if err != nil {
		return "", err
	}
	defer lock.Unlock()
	l, err := s.makeLocked(ctx, id)
	if err != nil {
		return "", err
	}
	path, err := s.mountLocked(ctx, l, how)
	return path, model.OnObject(model.KindLayer, id, err)
}

// mountLocked mounts a layer or counts one more mount. The caller holds the
// lock on it.
func (s *Store) mountLocked(ctx context.Context, l *model.Layer, how drivers.MountOptions) (string, error) {
	before, err := s.mountOf(ctx, l)
	if err != nil {
		return "", err
	}
	after := db.Mount{Layer: l.ID, Count: 1, Since: time.Now().UTC()}
	if before != nil {
		after = *before
		after.Count++
	} else {
		if after.Path, err = s.driver.Mount(ctx, l.DriverDir(), how); err != nil {
			return "", err
		}
		crashpoint.Hit(crashpoint.MountMounted)
		if _, after.Kernel, err = s.driver.Mountpoint(ctx, l.DriverDir()); err != nil {
			return "", errors.Join(err, s.driver.Unmount(context.WithoutCancel(ctx), l.DriverDir()))
		}
	}
	if err := s.run.Update(ctx, func(tx *db.RunTx) error { return tx.SetMount(after) }); err != nil {
		if before == nil {
			err = errors.Join(err, s.driver.Unmount(context.WithoutCancel(ctx), l.DriverDir()))
		}
		return "", err
	}
	return after.Path, nil
}

// mountOf returns how a layer is mounted, or nil if it is not. The run database
// has the count, but the kernel has the last word: what it does not show is
// not mounted, whoever unmounted it, and what it shows is, even if nobody came
// to note it.
func (s *Store) mountOf(ctx context.Context, l *model.Layer) (*db.Mount, error) {
	if !l.Made {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	var noted *db.Mount
	err := s.run.View(ctx, func(tx *db.RunTx) (err error) {
		noted, err = tx.Mount(l.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	path, mounted, err := s.driver.Mountpoint(ctx, l.DriverDir())
	switch {
	case errors.Is(err, model.ErrLayerUnknown):
		return nil, nil //nolint:nilnil // Its directory is lost; fsck says so.
	case err != nil:
		return nil, err
	case noted != nil && noted.Kernel && !mounted:
		return nil, nil //nolint:nilnil // See the comment above.
	case noted == nil && mounted:
		return &db.Mount{Layer: l.ID, Path: path, Count: 1, Kernel: true}, nil
	}
	return noted, nil
}

// Unmount undoes one Mount, or all of them if force is set, and tells whether
// the layer is still mounted. ref means a container, a layer or, by its path, a
// mount point. If nothing was mounted the error matches
// model.ErrLayerNotMounted.
func (s *Store) Unmount(ctx context.Context, ref string, force bool) (still bool, err error) {
	id, err := s.mountedLayer(ctx, ref)
	if err != nil {
		return false, err
	}
	return s.unmount(ctx, id, force)
}

// UnmountImage undoes MountImage.
func (s *Store) UnmountImage(ctx context.Context, ref string, force bool) (still bool, err error) {
	image, err := s.Image(ctx, ref)
	if err != nil {
		return false, err
	}
	return s.unmount(ctx, image.TopLayer, force)
}

func (s *Store) unmount(ctx context.Context, id model.LayerID, force bool) (still bool, err error) {
	if err := s.writable(); err != nil {
		return false, err
	}
	lock, err := s.lockLayer(ctx, id, flock.Exclusive)
	if err != nil {
		return false, err
	}
	defer lock.Unlock()
	l, err := s.layerRecord(ctx, id)
	if err != nil {
		return false, err
	}
	m, err := s.mountOf(ctx, l)
	if err != nil {
		return false, model.OnObject(model.KindLayer, id, err)
	}
	if m == nil {
		err := s.run.Update(ctx, func(tx *db.RunTx) error { return tx.RemoveMount(id) })
		return false, model.OnObject(model.KindLayer, id, errors.Join(model.ErrLayerNotMounted, err))
	}
	if m.Count > 1 && !force {
		m.Count--
		return true, s.run.Update(ctx, func(tx *db.RunTx) error { return tx.SetMount(*m) })
	}
	return false, model.OnObject(model.KindLayer, id, s.forgetMount(ctx, id, l.DriverDir()))
}

// forgetMount unmounts a layer however often it was mounted. The caller holds
// the lock on it.
func (s *Store) forgetMount(ctx context.Context, id model.LayerID, dir string) error {
	if err := s.driver.Unmount(ctx, dir); err != nil && !errors.Is(err, model.ErrLayerUnknown) {
		return err
	}
	crashpoint.Hit(crashpoint.UnmountDone)
	return s.run.Update(ctx, func(tx *db.RunTx) error { return tx.RemoveMount(id) })
}

// mountedLayer returns the layer that ref means for Unmount.
func (s *Store) mountedLayer(ctx context.Context, ref string) (id model.LayerID, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		id, _, err = tx.mountTarget(ref, MountOptions{})
		return err
	})
	if !errors.Is(err, model.ErrLayerUnknown) || !filepath.IsAbs(ref) || s.run == nil {
		return id, err
	}
	errRun := s.run.View(ctx, func(tx *db.RunTx) error {
		mounts, err := tx.Mounts()
		for _, m := range mounts {
			if m.Path == filepath.Clean(ref) {
				id = m.Layer
			}
		}
		return err
	})
	if errRun != nil || id != "" {
		return id, errRun
	}
	return "", err
}

// Mounted returns how often a container's layer, or a layer, is mounted.
func (s *Store) Mounted(ctx context.Context, ref string) (uint64, error) {
	id, err := s.mountedLayer(ctx, ref)
	if err != nil {
		return 0, err
	}
	m, err := s.MountOf(ctx, id)
	if err != nil || m == nil {
		return 0, err
	}
	return m.Count, nil
}

// MountOf returns how a layer is mounted, or nil if it is not.
func (s *Store) MountOf(ctx context.Context, id model.LayerID) (*db.Mount, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	l, err := s.layerRecord(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := s.mountOf(ctx, l)
	return m, model.OnObject(model.KindLayer, id, err)
}

// Mounts returns all layers that are mounted.
func (s *Store) Mounts(ctx context.Context) ([]db.Mount, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	var noted []db.Mount
	err := s.run.View(ctx, func(tx *db.RunTx) (err error) {
		noted, err = tx.Mounts()
		return err
	})
	if err != nil {
		return nil, err
	}
	var mounts []db.Mount
	for _, m := range noted {
		now, err := s.MountOf(ctx, m.Layer)
		if err != nil && !errors.Is(err, model.ErrLayerUnknown) {
			return nil, err
		}
		if now != nil {
			mounts = append(mounts, *now)
		}
	}
	return mounts, nil
}

// Shutdown undoes what opening the store did to the system. If layers are
// mounted the error matches model.ErrLayerUsedByContainer, unless force is
// set: then they are unmounted first. The store must be closed afterwards.
func (s *Store) Shutdown(ctx context.Context, force bool) ([]model.LayerID, error) {
	mounts, err := s.Mounts(ctx)
	if err != nil {
		return nil, err
	}
	var ids []model.LayerID
	var errs []error
	for _, m := range mounts {
		ids = append(ids, m.Layer)
		if !force {
			continue
		}
		if _, err := s.unmount(ctx, m.Layer, true); err != nil && !errors.Is(err, model.ErrLayerNotMounted) {
			errs = append(errs, err)
		}
	}
	if len(ids) > 0 && !force {
		return ids, fmt.Errorf("%w: layers %v are mounted", model.ErrLayerUsedByContainer, ids)
	}
	if err := errors.Join(errs...); err != nil {
		return ids, err
	}
	return ids, s.driver.Close(ctx)
}
