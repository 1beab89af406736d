package db

import (
	"errors"

	"github.com/csdb/csdb/model"
)

// Usage sums up a store. It is kept up to date by each transaction.
type Usage struct {
	Layers     int64 `cbor:"1,keyasint" json:"layers"`
	Images     int64 `cbor:"2,keyasint" json:"images"`
	Containers int64 `cbor:"3,keyasint" json:"containers"`
	// LayerBytes is what the contents of layers take on disk, as far as they
	// have been measured: layers that are written to by hand are not.
	LayerBytes int64 `cbor:"4,keyasint" json:"layer-bytes"`
	// UnusedLayerBytes is the part of it that no image and no container needs.
	UnusedLayerBytes int64 `cbor:"5,keyasint" json:"unused-layer-bytes"`
	// DataItems and DataBytes are the number and the size of data items.
	DataItems int64 `cbor:"6,keyasint" json:"data-items"`
	DataBytes int64 `cbor:"7,keyasint" json:"data-bytes"`
	// TarSplitBytes is the size of the files from which diffs are reproduced.
	TarSplitBytes int64 `cbor:"8,keyasint" json:"tar-split-bytes"`
}

var usages = table[Usage]{bucketStore}

// Usage returns the sums over the whole store.
func (tx *ReadTx) Usage() (*Usage, error) { return usages.get(tx, keyUsage) }

func (tx *Tx) saveUsage() error { return usages.put(tx, keyUsage, &tx.usage) }

// knownSize is what a layer contributes to the sums.
func knownSize(l *model.Layer) int64 { return max(l.Size, 0) }

func tarSplitSize(l *model.Layer) int64 {
	if l.Diff == nil || l.Diff.TarSplit == nil {
		return 0
	}
	return l.Diff.TarSplit.Size
}

// Add adds the sums over another database.
func (u *Usage) Add(other *Usage) {
	u.Layers += other.Layers
	u.Images += other.Images
	u.Containers += other.Containers
	u.LayerBytes += other.LayerBytes
	u.UnusedLayerBytes += other.UnusedLayerBytes
	u.DataItems += other.DataItems
	u.DataBytes += other.DataBytes
	u.TarSplitBytes += other.TarSplitBytes
}

// count adds an object to the sums, or takes it away.
func (u *Usage) count(kind model.Kind, by int64) {
	switch kind {
	case model.KindLayer:
		u.Layers += by
	case model.KindImage:
		u.Images += by
	case model.KindContainer:
		u.Containers += by
	}
}

// countUsage computes the sums from the records. What is damaged does not
// count.
func (tx *ReadTx) countUsage() (*Usage, error) {
	u := &Usage{}
	err := layers.all(tx, "", func(id string, l *model.Layer) error {
		u.Layers++
		u.LayerBytes += knownSize(l)
		u.TarSplitBytes += tarSplitSize(l)
		used, err := tx.countedUses(model.LayerID(id))
		if err == nil && used == 0 {
			u.UnusedLayerBytes += knownSize(l)
		}
		return ignoreDamage(err)
	})
	if err := ignoreDamage(err); err != nil {
		return nil, err
	}
	err = errors.Join(
		ignoreDamage(images.all(tx, "", func(string, *model.Image) error { u.Images++; return nil })),
		ignoreDamage(containers.all(tx, "", func(string, *model.Container) error { u.Containers++; return nil })))
	for _, kind := range model.Kinds {
		err = errors.Join(err, ignoreDamage(dataItems(kind).all(tx, "", func(_ string, item *model.Data) error {
			u.DataItems++
			u.DataBytes += item.Content.Size
			return nil
		})))
	}
	return u, err
}

// ignoreDamage passes over damaged records.
func ignoreDamage(err error) error {
	if errors.Is(err, model.ErrCorrupt) {
		return nil
	}
	return err
}

// ignoreMissing passes over what does not exist.
func ignoreMissing(err error) error {
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	return err
}

// created updates sums and uses for a record that has been stored, and is not
// linked yet.
func (tx *Tx) created(kind model.Kind, record any) error {
	tx.usage.count(kind, +1)
	layer, ok := record.(*model.Layer)
	if !ok {
		return nil
	}
	// A layer that comes back under its old ID may be waited for.
	used, err := tx.usesInIndexes(layer.ID)
	if err != nil {
		return err
	}
	tx.usage.LayerBytes += knownSize(layer)
	tx.usage.TarSplitBytes += tarSplitSize(layer)
	if used == 0 {
		tx.usage.UnusedLayerBytes += knownSize(layer)
	}
	return tx.saveUses(layer.ID, used)
}

// changed updates sums for a record that has been replaced.
func (tx *Tx) changed(before, after any) error {
	old, ok := before.(*model.Layer)
	if !ok {
		return nil
	}
	layer := after.(*model.Layer) //nolint:forcetypeassert // Both have one type.
	grown := knownSize(layer) - knownSize(old)
	tx.usage.LayerBytes += grown
	tx.usage.TarSplitBytes += tarSplitSize(layer) - tarSplitSize(old)
	used, err := tx.countedUses(layer.ID)
	if err == nil && used == 0 {
		tx.usage.UnusedLayerBytes += grown
	}
	return err
}

// deleted updates sums and uses for a record that is no longer linked, and is
// about to be removed.
func (tx *Tx) deleted(kind model.Kind, record any) error {
	tx.usage.count(kind, -1)
	layer, ok := record.(*model.Layer)
	if !ok {
		return nil
	}
	used, err := tx.countedUses(layer.ID)
	if err != nil {
		return err
	}
	tx.usage.LayerBytes -= knownSize(layer)
	tx.usage.TarSplitBytes -= tarSplitSize(layer)
	if used == 0 {
		tx.usage.UnusedLayerBytes -= knownSize(layer)
	}
	return tx.saveUses(layer.ID, 0)
}
