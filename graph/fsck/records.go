package fsck

import (
	"errors"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// records are those of a store: what is in its own database, the first one, and in
// those of its volatile containers. Each object is in one of them.
type records []*db.ReadTx

// first returns what get finds in the first database that has it.
func first[T any](r records, get func(*db.ReadTx) (T, error)) (found T, err error) {
	err = model.ErrNotFound // anywhere, if there is none
	for _, tx := range r {
		if found, err = get(tx); !errors.Is(err, model.ErrNotFound) {
			break
		}
	}
	return found, err
}

// Layer returns the record of a layer.
func (r records) Layer(id model.LayerID) (*model.Layer, error) {
	return first(r, func(tx *db.ReadTx) (*model.Layer, error) { return tx.Layer(id) })
}

// Image returns the record of an image.
func (r records) Image(id model.ImageID) (*model.Image, error) {
	return first(r, func(tx *db.ReadTx) (*model.Image, error) { return tx.Image(id) })
}

// Container returns the record of a container.
func (r records) Container(id model.ContainerID) (*model.Container, error) {
	return first(r, func(tx *db.ReadTx) (*model.Container, error) { return tx.Container(id) })
}

// Names returns the names of an object.
func (r records) Names(kind model.Kind, id string) ([]string, error) {
	return first(r, func(tx *db.ReadTx) ([]string, error) { return tx.Names(kind, id) })
}

// Find returns the ID of the object that a name, an ID or the beginning of one
// means.
func (r records) Find(kind model.Kind, name string) (string, error) {
	return first(r, func(tx *db.ReadTx) (string, error) { return tx.Find(kind, name) })
}

// DataItem returns a data item of an object.
func (r records) DataItem(kind model.Kind, id, key string) (*model.Data, error) {
	return first(r, func(tx *db.ReadTx) (*model.Data, error) { return tx.DataItem(kind, id, key) })
}

// FileOwner tells what a content file belongs to.
func (r records) FileOwner(path string) (db.FileOwner, error) {
	return first(r, func(tx *db.ReadTx) (db.FileOwner, error) { return tx.FileOwner(path) })
}

// Trash returns the entry for content that is to be removed.
func (r records) Trash(path string) (*db.Trash, error) {
	return first(r, func(tx *db.ReadTx) (*db.Trash, error) { return tx.Trash(path) })
}

// ContainersOfLayer returns the containers whose own layer it is.
func (r records) ContainersOfLayer(id model.LayerID) (all []model.ContainerID, err error) {
	err = r.each(func(tx *db.ReadTx) error {
		some, err := tx.ContainersOfLayer(id)
		all = append(all, some...)
		return err
	})
	return all, err
}

// each calls fn for each database. What it cannot read in one does not keep it from
// the others.
func (r records) each(fn func(*db.ReadTx) error) (err error) {
	for _, tx := range r {
		errOne := fn(tx)
		if intact(errOne) != nil {
			return errOne
		}
		err = errors.Join(err, errOne)
	}
	return err
}

// EachLayer calls fn for each layer whose record can be read.
func (r records) EachLayer(fn func(*model.Layer) error) error {
	return r.each(func(tx *db.ReadTx) error { return tx.EachLayer(fn) })
}

// EachImage calls fn for each image whose record can be read.
func (r records) EachImage(fn func(*model.Image) error) error {
	return r.each(func(tx *db.ReadTx) error { return tx.EachImage(fn) })
}

// EachContainer calls fn for each container whose record can be read.
func (r records) EachContainer(fn func(*model.Container) error) error {
	return r.each(func(tx *db.ReadTx) error { return tx.EachContainer(fn) })
}

// EachData calls fn for each data item of a kind of objects.
func (r records) EachData(kind model.Kind, fn func(id string, item *model.Data) error) error {
	return r.each(func(tx *db.ReadTx) error { return tx.EachData(kind, fn) })
}

// EachName calls fn for each name of a kind of objects.
func (r records) EachName(kind model.Kind, fn func(name, id string) error) error {
	return r.each(func(tx *db.ReadTx) error { return tx.EachName(kind, fn) })
}
