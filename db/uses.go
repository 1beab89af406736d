package db

import (
	"errors"
	"fmt"
	"strings"

	"github.com/csdb/csdb/model"
)

// The uses of a layer are the images of which it is a top layer, the
// containers whose own layer it is, and those of its children that are used
// themselves. So a layer has uses exactly if an image or a container needs it,
// and a change of one record touches no more counts than there are layers
// that begin or cease to be needed.
//
// There is a count for each layer that has uses, and for no other: a layer that
// nobody needs yet, such as one that a pull has just committed, costs no entry.
var uses = table[uint64]{bucketUses}

// Uses returns the number of uses of a layer.
func (tx *ReadTx) Uses(id model.LayerID) (uint64, error) {
	n, err := tx.countedUses(id)
	if n > 0 || err != nil {
		return n, err
	}
	_, err = tx.Layer(id)
	return 0, err
}

// countedUses returns the number of uses that is counted for a layer, which
// need not exist.
func (tx *ReadTx) countedUses(id model.LayerID) (uint64, error) {
	n, err := uses.get(tx, string(id))
	if errors.Is(err, model.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, model.OnObject(model.KindLayer, id, err)
	}
	return *n, nil
}

// saveUses stores the number of uses of a layer.
func (tx *Tx) saveUses(id model.LayerID, n uint64) error {
	if n == 0 {
		return uses.remove(tx, string(id))
	}
	return uses.put(tx, string(id), &n)
}

// countUse changes the number of uses of the layer that an index entry means,
// if it means one.
func (tx *Tx) countUse(l link, by int) error {
	layer, user, _ := strings.Cut(l.key, separator)
	switch l.in { //nolint:exhaustive // Other buckets are no uses of a layer.
	case bucketLayerImages, bucketLayerContainers:
		return tx.changeUses(model.LayerID(layer), by)
	case bucketChildren:
		used, err := tx.countedUses(model.LayerID(user))
		if err != nil || used == 0 {
			return err
		}
		return tx.changeUses(model.LayerID(layer), by)
	}
	return nil
}

// changeUses changes the number of uses of a layer by one, and those of its
// ancestors as far as they begin or cease to be used. A layer without record
// has no count.
func (tx *Tx) changeUses(id model.LayerID, by int) error {
	for id != "" {
		before, err := tx.countedUses(id)
		if err != nil {
			return err
		}
		after := before + uint64(by) // adding 2^64-1 subtracts one
		if before > 0 && after > 0 {
			return tx.saveUses(id, after)
		}
		layer, err := tx.Layer(id)
		if errors.Is(err, model.ErrLayerUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		if by < 0 && before == 0 {
			return &RecordError{Bucket: string(bucketUses), Key: string(id), Err: errors.New("there are more uses than are counted")}
		}
		if err := tx.saveUses(id, after); err != nil {
			return err
		}
		tx.usage.UnusedLayerBytes -= int64(by) * knownSize(layer)
		id = layer.Parent
	}
	return nil
}

// UsesOf returns how much here needs a layer that is in another store.
func (tx *ReadTx) UsesOf(id model.LayerID) (uint64, error) { return tx.usesInIndexes(id) }

// usesInIndexes counts the uses of a layer from the indexes alone.
func (tx *ReadTx) usesInIndexes(id model.LayerID) (uint64, error) {
	images, errImages := tx.ImagesOfLayer(id)
	containers, errContainers := tx.ContainersOfLayer(id)
	children, errChildren := tx.Children(id)
	if err := errors.Join(errImages, errContainers, errChildren); err != nil {
		return 0, err
	}
	n := uint64(len(images) + len(containers))
	for _, child := range children {
		used, err := tx.countedUses(child)
		if err != nil {
			return 0, fmt.Errorf("uses of layer %q: %w", id, err)
		}
		if used > 0 {
			n++
		}
	}
	return n, nil
}
