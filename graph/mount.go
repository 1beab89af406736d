package graph

import (
	"context"
	"errors"
	"fmt"
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

// MountLayer mounts a layer, whatever containers there are: to Mount an ID means
// the container first that has it. UnmountLayer undoes it.
func (s *Store) MountLayer(ctx context.Context, id model.LayerID, options MountOptions) (string, error) {
	return s.mount(ctx, options, func(tx *ReadTx) (model.LayerID, drivers.MountOptions, error) {
		l, err := tx.db.Layer(id)
		if err != nil {
			return "", drivers.MountOptions{}, err
		}
		return l.ID, options.forDriver(l.MountLabel), nil
	})
}

// MountImage mounts the top layer of an image so that nothing in it can be
// changed.
func (s *Store) MountImage(ctx context.Context, ref string, options MountOptions) (string, error) {
	options.ReadOnly = true
	return s.mount(ctx, options, func(tx *ReadTx) (model.LayerID, drivers.MountOptions, error) {
		top, err := tx.topLayer(ref)
		return top, options.forDriver(""), err
	})
}

// topLayer returns the top layer of the image that ref means.
func (tx *ReadTx) topLayer(ref string) (model.LayerID, error) {
	image, err := tx.Image(ref)
	if err == nil && image.TopLayer == "" {
		err = model.OnObject(model.KindImage, image.ID, fmt.Errorf("%w: it has no layers", model.ErrLayerUnknown))
	}
	if err != nil {
		return "", err
	}
	return image.TopLayer, nil
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
		if id, how, err = target(tx); err != nil {
			return err
		}
		at, err := tx.db.placeOf(id)
		if err != nil {
			return err
		}
		if s = at.home; !at.own() && !how.ReadOnly {
			err = model.OnObject(model.KindLayer, id, fmt.Errorf("%w: %s", model.ErrStoreIsReadOnly, s.options.Root))
		}
		return err
	})
	if err != nil {
		return "", err
	}
	path, err := s.mountLayer(ctx, id, how)
	if err != nil || options.ReadOnly {
		return path, err
	}
	// The mount has been noted, so whoever creates a child from now on makes
	// its directory himself, see afterCreate. The caller does not write yet.
	if err := s.beforeChange(ctx, id); err != nil {
		_, errUndo := s.unmount(context.WithoutCancel(ctx), id, false)
		return "", errors.Join(err, errUndo)
	}
	return path, nil
}

// mountLayer locks and mounts a layer, and counts.
func (s *Store) mountLayer(ctx context.Context, id model.LayerID, how drivers.MountOptions) (string, error) {
	lock, err := s.lockMount(ctx, id)
	if err != nil {
		return "", err
	}
	defer lock.unlock(ctx)
	if _, err := s.makeLayer(ctx, id); err != nil {
		return "", err
	}
	content, err := s.lockContent(ctx, id, flock.Shared)
	if err != nil {
		return "", err
	}
	defer content.unlock(ctx)
	// Only now it stays what it is.
	l, err := s.layerRecord(ctx, id)
	if err == nil && !l.Made {
		err = fmt.Errorf("%w: another layer has been given its ID", model.ErrBusy)
	}
	if err != nil {
		return "", model.OnObject(model.KindLayer, id, err)
	}
	path, err := s.mountLocked(ctx, l, how)
	return path, model.OnObject(model.KindLayer, id, err)
}

// mountLocked mounts a layer or counts one more mount. The caller holds the
// locks on it.
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
		if err := s.checkQuarantine(ctx, l); err != nil {
			return "", err
		}
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
