package graph

import (
	"errors"

	"github.com/csdb/csdb/model"
)

// Size says how much an object takes, in bytes.
type Size struct {
	// Own is what belongs to the object itself: a layer's own content as
	// measured on disk when its diff was applied, and the data items.
	// It is model.SizeUnknown for a layer that has been written to by hand.
	Own int64 `json:"own"`
	// Shared and Unique are the sizes of the other layers that the object
	// needs: those that something else needs too, and those that nothing else
	// needs. A layer is needed by the images and containers to which it
	// belongs, and by its children as far as these are needed themselves. What
	// is not known does not count.
	Shared int64 `json:"shared"`
	Unique int64 `json:"unique"`
}

// LayerSize says how much a layer takes together with its ancestors.
func (tx *ReadTx) LayerSize(id model.LayerID) (Size, error) {
	l, err := tx.db.Layer(id)
	if err != nil {
		return Size{}, err
	}
	size, err := tx.dataSize(id)
	if err != nil {
		return Size{}, err
	}
	size.addOwn(l)
	uses, err := tx.db.Uses(id)
	if err != nil {
		return Size{}, err
	}
	above := needs{}
	above[l.Parent] = min(uses, 1) // all that is on top counts as one child
	err = tx.addLayers(&size, above, l.Parent)
	return size, err
}

// ImageSize says how much an image takes together with its layers.
func (tx *ReadTx) ImageSize(id model.ImageID) (Size, error) {
	image, err := tx.db.Image(id)
	if err != nil {
		return Size{}, err
	}
	size, err := tx.dataSize(id)
	if err != nil {
		return Size{}, err
	}
	tops := image.TopLayers()
	own := needs{}
	for _, top := range tops {
		own[top] = 1
	}
	err = tx.addLayers(&size, own, tops...)
	return size, err
}

// ContainerSize says how much a container takes together with its image. What
// has been written to its layer is not known; see Store.ContainerUsage.
func (tx *ReadTx) ContainerSize(id model.ContainerID) (Size, error) {
	c, err := tx.db.Container(id)
	if err != nil {
		return Size{}, err
	}
	size, err := tx.dataSize(id)
	if err != nil {
		return Size{}, err
	}
	l, err := tx.db.Layer(c.Layer)
	if errors.Is(err, model.ErrNotFound) {
		return size, nil // deleted by force
	}
	if err != nil {
		return Size{}, err
	}
	size.addOwn(l)
	above := needs{}
	above[l.Parent] = 1
	err = tx.addLayers(&size, above, l.Parent)
	return size, err
}

// dataSize sums up the data items of an object.
func (tx *ReadTx) dataSize(id model.ID) (size Size, err error) {
	items, err := tx.Data(id)
	for _, item := range items {
		size.Own += item.Content.Size
	}
	return size, err
}

// addOwn adds a layer that belongs to the object itself.
func (size *Size) addOwn(l *model.Layer) {
	if l.Size < 0 {
		size.Own = model.SizeUnknown
	} else {
		size.Own += l.Size
	}
}

// needs counts for layers how many of their uses, as db counts them, are due to
// one object.
type needs map[model.LayerID]uint64

// addLayers adds the given layers and all below them to a size. own has the
// uses of the given ones that are due to the object.
func (tx *ReadTx) addLayers(size *Size, own needs, tops ...model.LayerID) error {
	var all []*model.Layer
	seen := make(map[model.LayerID]bool)
	for _, top := range tops {
		chain, err := tx.chain(top, seen)
		if err != nil {
			return err
		}
		all = append(chain, all...) // a layer before its parent
	}
	shared := make(map[model.LayerID]bool)
	for _, l := range all {
		uses, err := tx.db.Uses(l.ID)
		if err != nil {
			return err
		}
		if uses != own[l.ID] || shared[l.ID] {
			size.Shared += max(l.Size, 0)
			shared[l.Parent] = true
		} else {
			size.Unique += max(l.Size, 0)
		}
		own[l.Parent] += min(uses, 1) // as one child that is used, or is not
	}
	return nil
}

// chain returns a layer and its ancestors as far as they have not been seen.
func (tx *ReadTx) chain(id model.LayerID, seen map[model.LayerID]bool) (chain []*model.Layer, err error) {
	err = tx.eachAncestor(id, seen, func(l *model.Layer) error {
		chain = append(chain, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return chain, nil
}

// eachAncestor calls fn for a layer and each of its ancestors, the nearest first,
// up to one that has been seen, or that was deleted by force.
func (tx *ReadTx) eachAncestor(id model.LayerID, seen map[model.LayerID]bool, fn func(*model.Layer) error) error {
	for id != "" && !seen[id] {
		l, err := tx.db.Layer(id)
		if err != nil {
			return ignoreNotFound(err)
		}
		seen[id] = true // in a damaged store a layer may be its own ancestor
		if err := fn(l); err != nil {
			return err
		}
		id = l.Parent
	}
	return nil
}
