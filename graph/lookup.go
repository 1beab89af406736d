package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// Layer returns the layer that ref means.
func (tx *ReadTx) Layer(ref string) (*model.Layer, error) {
	id, err := tx.db.Find(model.KindLayer, ref)
	if err != nil {
		return nil, err
	}
	return tx.db.Layer(model.LayerID(id))
}

// Image returns the image that ref means.
func (tx *ReadTx) Image(ref string) (*model.Image, error) {
	id, err := tx.db.Find(model.KindImage, ref)
	if err != nil {
		return nil, err
	}
	return tx.db.Image(model.ImageID(id))
}

// Container returns the container that ref means.
func (tx *ReadTx) Container(ref string) (*model.Container, error) {
	id, err := tx.db.Find(model.KindContainer, ref)
	if err != nil {
		return nil, err
	}
	return tx.db.Container(model.ContainerID(id))
}

// Find returns the ID of the object that ref means. The kinds are tried in the
// given order, and the first that has such an object wins; without kinds the
// order is layers, images, containers. If there is none the error matches
// model.ErrNotFound.
func (tx *ReadTx) Find(ref string, kinds ...model.Kind) (model.ID, error) {
	if len(kinds) == 0 {
		kinds = model.Kinds
	}
	for _, kind := range kinds {
		id, err := tx.db.Find(kind, ref)
		if err == nil {
			return model.NewID(kind, id), nil
		}
		if !errors.Is(err, model.ErrNotFound) {
			return nil, err
		}
	}
	if len(kinds) == 1 {
		return nil, model.Unknown(kinds[0], ref)
	}
	return nil, fmt.Errorf("%q: %w", ref, model.ErrNotAnID)
}

// Layers returns all layers in the order of their creation. If some records
// are damaged, it returns the others, and an error that matches
// model.ErrCorrupt.
func (tx *ReadTx) Layers() ([]*model.Layer, error) { return tx.db.Layers() }

// Images returns all images in the order of their creation, see Layers.
func (tx *ReadTx) Images() ([]*model.Image, error) { return tx.db.Images() }

// Containers returns all containers in the order of their creation, see
// Layers.
func (tx *ReadTx) Containers() ([]*model.Container, error) { return tx.db.Containers() }

// Children returns the layers whose parent is the given layer.
func (tx *ReadTx) Children(parent model.LayerID) ([]model.LayerID, error) {
	return tx.db.Children(parent)
}

// LayersByDigest returns the layers with the given digest in the order of
// their creation. If there is none the error matches model.ErrLayerUnknown. If
// some records are damaged, it returns the others, and an error that matches
// model.ErrCorrupt.
func (tx *ReadTx) LayersByDigest(kind db.DigestKind, d digest.Digest) ([]*model.Layer, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w: %w", d, model.ErrInvalid, err)
	}
	layers, err := tx.db.LayersByDigest(kind, d)
	if err == nil && len(layers) == 0 {
		err = fmt.Errorf("digest %s: %w", d, model.ErrLayerUnknown)
	}
	return layers, err
}

// ImagesByDigest returns the images that can be found by the given digest in
// the order of their creation. There may be none. If some records are damaged,
// it returns the others, and an error that matches model.ErrCorrupt.
func (tx *ReadTx) ImagesByDigest(d digest.Digest) ([]*model.Image, error) {
	return tx.db.ImagesByDigest(d)
}

// ImagesByTopLayer returns the images of which the layer is the top layer, or a
// mapped variant of it.
func (tx *ReadTx) ImagesByTopLayer(ref string) ([]*model.Image, error) {
	id, err := tx.db.Find(model.KindLayer, ref)
	if err != nil {
		return nil, err
	}
	ids, err := tx.db.ImagesOfLayer(model.LayerID(id))
	if err != nil {
		return nil, err
	}
	var images []*model.Image
	for _, id := range ids {
		image, err := tx.db.Image(id)
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

// ContainerByLayer returns the container whose own layer ref means.
func (tx *ReadTx) ContainerByLayer(ref string) (*model.Container, error) {
	id, err := tx.db.Find(model.KindLayer, ref)
	if err != nil {
		return nil, err
	}
	owners, err := tx.db.ContainersOfLayer(model.LayerID(id))
	if err != nil {
		return nil, err
	}
	if len(owners) == 0 {
		return nil, model.OnObject(model.KindLayer, id, model.ErrContainerUnknown)
	}
	return tx.db.Container(owners[0])
}

// Names returns the names of an object.
func (tx *ReadTx) Names(id model.ID) ([]string, error) { return tx.db.Names(id.Kind(), id.String()) }

// Metadata returns the metadata of an object.
func (tx *ReadTx) Metadata(id model.ID) (string, error) {
	return tx.db.Metadata(id.Kind(), id.String())
}

// Journal calls fn for each transaction in the journal from the given number
// on, the oldest first, until fn returns false.
func (tx *ReadTx) Journal(from uint64, fn func(*db.JournalEntry) bool) error {
	return tx.db.main.db.Journal(from, fn)
}

// Usage returns the sums over the whole store.
func (tx *ReadTx) Usage() (*db.Usage, error) { return tx.db.Usage() }

// Layer returns the layer that ref means.
func (s *Store) Layer(ctx context.Context, ref string) (*model.Layer, error) {
	return view(ctx, s, func(tx *ReadTx) (*model.Layer, error) { return tx.Layer(ref) })
}

// Image returns the image that ref means.
func (s *Store) Image(ctx context.Context, ref string) (*model.Image, error) {
	return view(ctx, s, func(tx *ReadTx) (*model.Image, error) { return tx.Image(ref) })
}

// Container returns the container that ref means.
func (s *Store) Container(ctx context.Context, ref string) (*model.Container, error) {
	return view(ctx, s, func(tx *ReadTx) (*model.Container, error) { return tx.Container(ref) })
}

// Find returns the ID of the object that ref means, see ReadTx.Find.
func (s *Store) Find(ctx context.Context, ref string, kinds ...model.Kind) (model.ID, error) {
	return view(ctx, s, func(tx *ReadTx) (model.ID, error) { return tx.Find(ref, kinds...) })
}

// view returns what fn returns from a transaction of its own.
func view[T any](ctx context.Context, s *Store, fn func(*ReadTx) (T, error)) (result T, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		result, err = fn(tx)
		return err
	})
	return result, err
}

// update returns what fn returns from a transaction of its own.
func update[T any](ctx context.Context, s *Store, fn func(*Tx) (T, error)) (result T, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		result, err = fn(tx)
		return err
	})
	return result, err
}
