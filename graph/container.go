package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/csdb/csdb/model"
)

// ContainerSpec says what a new container shall be. All of it is optional.
type ContainerSpec struct {
	// ID is the container's ID; one is generated if it is empty.
	ID model.ContainerID
	// Image is what the container is made from, or "".
	Image model.ImageID
	// Layer is the ID for the container's own layer; one is generated if it
	// is empty.
	Layer model.LayerID
	// Names are given to the container; they must be free.
	Names    []string
	Metadata string
	Flags    map[string]any
	// MountOpts are options for mounting the container's layer.
	MountOpts []string
	// MountLabel and ProcessLabel are the container's SELinux labels.
	MountLabel, ProcessLabel string
	// StorageOpt are options of the driver for the container's layer.
	StorageOpt map[string]string
	// Volatile says that losing the container when the machine is booted again, or
	// the run root removed, is acceptable, and losing what it writes. Its record
	// is kept in the run root.
	Volatile bool
}

// CreateContainer makes a container with a read-write layer of its own on top
// of its image. That costs nothing on disk until the container is first
// mounted.
func (tx *Tx) CreateContainer(spec ContainerSpec) (*model.Container, error) {
	if spec.ID == "" {
		spec.ID = model.NewContainerID()
	}
	layer := LayerSpec{ID: spec.Layer, Writable: true, MountLabel: spec.MountLabel, StorageOpt: spec.StorageOpt}
	if spec.Image != "" {
		image, err := tx.db.Image(spec.Image)
		if err != nil {
			return nil, model.OnObject(model.KindContainer, spec.ID, fmt.Errorf("image: %w", err))
		}
		layer.Parent = image.TopLayer
	}
	in := tx.db.main
	if tx.store.options.TransientStore {
		spec.Volatile = true
	}
	if spec.Volatile {
		var err error
		if in, err = tx.placeForVolatile(); err != nil {
			return nil, model.OnObject(model.KindContainer, spec.ID, err)
		}
	}
	own, err := tx.createLayer(in, layer)
	if err != nil {
		return nil, model.OnObject(model.KindContainer, spec.ID, err)
	}
	c := &model.Container{
		ID: spec.ID, Names: spec.Names, Image: spec.Image, Layer: own.ID, Metadata: spec.Metadata, Flags: spec.flags(),
	}
	if err := tx.db.CreateContainer(in, c); err != nil {
		// Whoever goes on after the error does not want the layer.
		_, _, errUndo := tx.db.DeleteLayer(in, own.ID)
		return nil, errors.Join(err, errUndo)
	}
	return c, nil
}

// flags returns the flags that the record gets.
func (spec ContainerSpec) flags() map[string]any {
	flags := maps.Clone(spec.Flags)
	if flags == nil {
		flags = make(map[string]any)
	}
	flags[model.FlagMountLabel] = spec.MountLabel
	flags[model.FlagProcessLabel] = spec.ProcessLabel
	if len(spec.MountOpts) > 0 {
		flags[model.FlagMountOpts] = spec.MountOpts
	}
	if spec.Volatile {
		flags[model.FlagVolatile] = true
	}
	return flags
}

// DeleteContainer deletes a container with its layer, mounted or not, unless one
// of them is leased. Content goes after the commit.
func (tx *Tx) DeleteContainer(id model.ContainerID) error {
	if err := tx.containerUnleased(id); err != nil {
		return err
	}
	p, err := tx.db.placeTo(id)
	if errors.Is(err, model.ErrContainerUnknown) {
		err = model.OnObject(model.KindContainer, id, model.ErrNotAContainer)
	}
	if err != nil {
		return err
	}
	c, files, err := tx.db.DeleteContainer(p, id)
	if errors.Is(err, model.ErrCorrupt) {
		return tx.deleteUnreadable(p, id, err)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(tx.trashContents(p, files, id), tx.trashUserDir(p, id)); err != nil {
		return err
	}
	if err := tx.deleteLayer(c.Layer); !errors.Is(err, model.ErrLayerUnknown) {
		return err
	}
	return nil // deleted by force
}

// CreateContainer is Tx.CreateContainer in a transaction of its own.
func (s *Store) CreateContainer(ctx context.Context, spec ContainerSpec) (*model.Container, error) {
	return update(ctx, s, func(tx *Tx) (*model.Container, error) { return tx.CreateContainer(spec) })
}

// DeleteContainer is Tx.DeleteContainer in a transaction of its own.
func (s *Store) DeleteContainer(ctx context.Context, id model.ContainerID) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.DeleteContainer(id) })
}
