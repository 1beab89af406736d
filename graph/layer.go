package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// LayerSpec says what a new layer shall be. All of it is optional.
type LayerSpec struct {
	// ID is the layer's ID; one is generated if it is empty.
	ID model.LayerID
	// Parent is the layer below, or "" for a base layer.
	Parent model.LayerID
	// StagedParent is the layer below if that is staged and not committed yet.
	// It takes the place of Parent for StageLayer.
	StagedParent *StagedLayer
	// Names are given to the layer; they must be free.
	Names    []string
	Metadata string
	Flags    map[string]any
	// Writable marks a layer that is going to be written to by hand.
	Writable bool
	// MountLabel is the SELinux label for mounts of the layer.
	MountLabel string
	// StorageOpt are options of the driver for a writable layer.
	StorageOpt map[string]string

	// Digest and CompressedDigest are what a staged diff must have in its
	// uncompressed form and as it is received; anything else is refused.
	Digest, CompressedDigest digest.Digest
}

// role says where the layer belongs: one that is written to stays in the graph
// root.
func (spec LayerSpec) role() role {
	if spec.Writable {
		return roleMain
	}
	return roleImages
}

// record returns the record of a layer without content.
func (spec LayerSpec) record() *model.Layer {
	id := spec.ID
	if id == "" {
		id = model.NewLayerID()
	}
	return &model.Layer{
		ID: id, Parent: spec.Parent, Names: spec.Names, Metadata: spec.Metadata, Flags: spec.Flags,
		Writable: spec.Writable, MountLabel: spec.MountLabel, StorageOpt: spec.StorageOpt,
	}
}

// CreateLayer makes an empty layer. It costs nothing on disk until it is first
// needed.
func (tx *Tx) CreateLayer(spec LayerSpec) (*model.Layer, error) {
	return tx.createLayer(tx.db.at(spec.role()), spec)
}

// createLayer is CreateLayer for a place.
func (tx *Tx) createLayer(in *place, spec LayerSpec) (*model.Layer, error) {
	if spec.StagedParent != nil {
		return nil, fmt.Errorf("%w: an empty layer cannot have a staged parent", model.ErrInvalid)
	}
	l := spec.record()
	if err := tx.store.checkOptions(l); err != nil {
		return nil, model.OnObject(model.KindLayer, l.ID, err)
	}
	if _, err := tx.parentFor(l); err != nil {
		return nil, err
	}
	if err := tx.db.CreateLayer(in, l); err != nil {
		return nil, err
	}
	if s := in.home; l.Parent != "" && s.copiesParents() {
		tx.then = append(tx.then, func(ctx context.Context) error { return s.afterCreate(ctx, l.ID, l.Parent) })
	}
	return l, nil
}

// parentFor returns the parent of a layer that is to be created, or nil if it
// has none.
func (tx *ReadTx) parentFor(l *model.Layer) (*model.Layer, error) {
	if l.Parent == "" {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	parent, err := tx.db.Layer(l.Parent)
	if err == nil {
		err = parent.Damaged()
	}
	if err != nil {
		return nil, fmt.Errorf("parent: %w", err)
	}
	owners, err := tx.db.ContainersOfLayer(l.Parent)
	if err == nil && len(owners) > 0 {
		err = model.OnObject(model.KindLayer, l.Parent, fmt.Errorf("%w: %s", model.ErrParentIsContainer, owners[0]))
	}
	return parent, err
}

// AddLayer makes a staged layer part of the store and returns it. If there is a
// layer with its ID already, it returns that one and an error that matches
// model.ErrDuplicateID: whoever only wants the layer to be there can go on with
// it. If the parent is not the very layer that it was staged on, the error
// matches model.ErrStagedOnOtherParent, and it has to be staged again.
func (tx *Tx) AddLayer(staged *StagedLayer) (*model.Layer, error) {
	l := staged.Layer()
	existing, err := tx.db.Layer(l.ID)
	switch {
	case err == nil && staged.heals && existing.Seq == l.Seq && existing.Damage != "":
		return tx.healed(existing, staged)
	case err == nil:
		return existing, model.OnObject(model.KindLayer, l.ID, model.ErrDuplicateID)
	case errors.Is(err, model.ErrCorrupt) && staged.renews:
	case !errors.Is(err, model.ErrNotFound):
		return nil, err
	}
	unknown := err
	parent, err := tx.parentFor(l)
	if err == nil && parent != nil && !staged.isOn(parent) {
		err = model.ErrStagedOnOtherParent
	}
	create := func() error {
		return tx.take(staged.claims, func() error { return tx.db.CreateLayer(tx.db.at(staged.role), l) })
	}
	switch {
	case err != nil:
	case errors.Is(unknown, model.ErrCorrupt):
		err = tx.renew(l, unknown, create)
	default:
		err = create()
	}
	if err != nil {
		return nil, model.OnObject(model.KindLayer, l.ID, err)
	}
	staged.layer.Seq = l.Seq
	return l, nil
}

// DeleteLayer deletes a layer that nothing uses: one that has no children, is
// not the top layer of an image, belongs to no container, and is not leased
// (see Lease). Its content goes after the commit. Images of which it is a mapped top layer forget it.
func (tx *Tx) DeleteLayer(id model.LayerID) error {
	if _, err := tx.db.placeTo(id); err != nil {
		if errors.Is(err, model.ErrNotFound) || errors.Is(err, model.ErrStoreIsReadOnly) {
			err = model.OnObject(model.KindLayer, id, fmt.Errorf("%w: %w", model.ErrNotALayer, err))
		}
		return err
	}
	if err := tx.layerUsed(id); err != nil {
		return model.OnObject(model.KindLayer, id, err)
	}
	if err := tx.unleased(id); err != nil {
		return err
	}
	return tx.deleteLayer(id)
}

// layerUsed returns an error that names what uses a layer.
func (tx *Tx) layerUsed(id model.LayerID) error {
	children, err := tx.db.Children(id)
	if err != nil {
		return err
	}
	if len(children) > 0 {
		return fmt.Errorf("%w: %v", model.ErrLayerHasChildren, children)
	}
	owners, err := tx.db.ContainersOfLayer(id)
	if err != nil {
		return err
	}
	if len(owners) > 0 {
		// Scripts look for this order of words.
		return fmt.Errorf("layer %s used by container %s: %w", id, owners[0], model.ErrLayerUsedByContainer)
	}
	images, err := tx.db.ImagesOfLayer(id)
	if err != nil {
		return err
	}
	for _, user := range images {
		image, err := tx.db.Image(user)
		if err != nil {
			return err
		}
		if image.TopLayer == id {
			return fmt.Errorf("layer %s used by image %s: %w", id, user, model.ErrLayerUsedByImage)
		}
	}
	return tx.db.unheld(id)
}

// deleteLayer deletes a layer whoever uses it or has leased it.
func (tx *Tx) deleteLayer(id model.LayerID) error {
	p, err := tx.db.placeTo(id)
	if err != nil {
		return err
	}
	images, err := tx.db.ImagesOfLayer(id)
	if err != nil {
		return err
	}
	for _, user := range images {
		_, err := tx.db.UpdateImage(db.OpModify, user, func(i *model.Image) error {
			i.MappedTopLayers = slices.DeleteFunc(i.MappedTopLayers, func(l model.LayerID) bool { return l == id })
			return nil
		})
		if err != nil {
			return err
		}
	}
	l, files, err := tx.db.DeleteLayer(p, id)
	if errors.Is(err, model.ErrCorrupt) {
		return tx.deleteUnreadable(p, id, err)
	}
	if err != nil {
		return err
	}
	if err := tx.trashContents(p, files, id); err != nil {
		return err
	}
	if !l.Made {
		return nil
	}
	return tx.addTrash(p, db.Trash{
		Path: p.home.layerPath(l.DriverDir()), Kind: db.TrashLayer, Dir: l.DriverDir(),
		ObjectKind: model.KindLayer, ID: string(id),
	})
}

// CreateLayer is Tx.CreateLayer in a transaction of its own.
func (s *Store) CreateLayer(ctx context.Context, spec LayerSpec) (*model.Layer, error) {
	return update(ctx, s, func(tx *Tx) (*model.Layer, error) { return tx.CreateLayer(spec) })
}

// ImportLayer stages a layer from a diff and commits it. If there is a layer
// with its ID already, it returns that one and an error that matches
// model.ErrDuplicateID.
func (s *Store) ImportLayer(ctx context.Context, spec LayerSpec, diff io.Reader) (l *model.Layer, err error) {
	staged, err := s.StageLayer(ctx, spec, diff)
	if errors.Is(err, model.ErrDuplicateID) {
		existing, errView := s.Layer(ctx, string(spec.ID))
		return existing, errors.Join(err, errView)
	}
	if err != nil {
		return nil, err
	}
	defer func() { discardAfter(ctx, staged, &err) }()
	return update(ctx, s, func(tx *Tx) (*model.Layer, error) { return tx.AddLayer(staged) })
}

// DeleteLayer is Tx.DeleteLayer in a transaction of its own.
func (s *Store) DeleteLayer(ctx context.Context, id model.LayerID) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.DeleteLayer(id) })
}
