package db

import (
	"strings"

	"github.com/csdb/csdb/model"
)

// EachLayer calls fn for each layer, ordered by ID, and stops at an error of
// fn. Damaged records are passed over; then the error matches
// model.ErrCorrupt. Unlike Layers it needs memory for one record only.
func (tx *ReadTx) EachLayer(fn func(*model.Layer) error) error { return each(tx, layers.table, fn) }

// EachImage is EachLayer for images.
func (tx *ReadTx) EachImage(fn func(*model.Image) error) error { return each(tx, images.table, fn) }

// EachContainer is EachLayer for containers.
func (tx *ReadTx) EachContainer(fn func(*model.Container) error) error {
	return each(tx, containers.table, fn)
}

func each[R any](tx *ReadTx, t table[R], fn func(*R) error) error {
	return t.all(tx, "", func(_ string, r *R) error { return fn(r) })
}

// EachData calls fn for each data item of the objects of a kind and the ID of
// the object, ordered by ID and key, see EachLayer.
func (tx *ReadTx) EachData(kind model.Kind, fn func(id string, item *model.Data) error) error {
	return dataItems(kind).all(tx, "", func(key string, item *model.Data) error {
		id, _, _ := strings.Cut(key, separator)
		return fn(id, item)
	})
}

// EachName calls fn for each name of the objects of a kind and the ID of the
// object, ordered by name, see EachLayer.
func (tx *ReadTx) EachName(kind model.Kind, fn func(name, id string) error) error {
	return linkValues(namesOf(kind)).all(tx, "", func(name string, id *string) error { return fn(name, *id) })
}
