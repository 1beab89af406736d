package db

import (
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

var images = objects[model.Image]{
	table: table[model.Image]{bucketImages},
	kind:  model.KindImage,
	head: func(i *model.Image) head {
		return head{string(i.ID), &i.Names, &i.Created, &i.Seq, &i.Metadata}
	},
	links: imageLinks,
}

// Image returns an image by its ID.
func (tx *ReadTx) Image(id model.ImageID) (*model.Image, error) { return images.load(tx, string(id)) }

// Images returns all images in the order of their creation. If some records
// are damaged, it returns the others, and an error that matches
// model.ErrCorrupt.
func (tx *ReadTx) Images() ([]*model.Image, error) { return images.list(tx) }

// ImagesByDigest returns the images that can be found by the given digest in
// the order of their creation. If some records are damaged, it returns the
// others, and an error that matches model.ErrCorrupt.
func (tx *ReadTx) ImagesByDigest(d digest.Digest) ([]*model.Image, error) {
	ids, err := idsWith[string](tx, bucketImageDigest, d.String())
	if err != nil {
		return nil, err
	}
	return images.loadAll(tx, ids)
}

// ImagesOfLayer returns the images of which the layer is a top layer, mapped
// ones included.
func (tx *ReadTx) ImagesOfLayer(id model.LayerID) ([]model.ImageID, error) {
	return idsWith[model.ImageID](tx, bucketLayerImages, string(id))
}

// CreateImage stores a new image. Its layers need not have records.
func (tx *Tx) CreateImage(i *model.Image) error { return images.create(tx, i) }

// UpdateImage replaces the record of an image by what fn makes of it.
func (tx *Tx) UpdateImage(op Op, id model.ImageID, fn func(*model.Image) error) (*model.Image, error) {
	return images.update(tx, op, string(id), fn)
}

// DeleteImage removes an image and its data items, whoever uses it. It returns
// the record and the content files that nothing refers to any more.
func (tx *Tx) DeleteImage(id model.ImageID) (*model.Image, []model.Content, error) {
	return images.delete(tx, string(id))
}
