package graph

import (
	"context"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// What follows is for programs that show what is in a store.

// ImagesOfLayer returns the images of which the layer is the top layer, or a
// mapped variant of it, ordered by ID. There need be no such layer.
func (tx *ReadTx) ImagesOfLayer(id model.LayerID) ([]model.ImageID, error) {
	return tx.db.ImagesOfLayer(id)
}

// ContainersOfLayer returns the containers whose own layer it is: at most one,
// unless the database is damaged.
func (tx *ReadTx) ContainersOfLayer(id model.LayerID) ([]model.ContainerID, error) {
	return tx.db.ContainersOfLayer(id)
}

// ContainersOfImage returns the containers that were made from the image,
// ordered by ID. There need be no such image.
func (tx *ReadTx) ContainersOfImage(id model.ImageID) ([]model.ContainerID, error) {
	return tx.db.ContainersOfImage(id)
}

// Schema returns the version of the database's schema.
func (tx *ReadTx) Schema() (uint64, error) { return tx.db.main.db.Schema() }

// TxID returns the number of the last transaction that the picture contains.
func (tx *ReadTx) TxID() int { return tx.db.main.db.TxID() }

// FileInfo describes the file of the database.
func (tx *ReadTx) FileInfo() (db.FileInfo, error) { return tx.db.main.db.FileInfo() }

// Backup makes a copy of the database in a new file, while others use the
// store, see db.DB.Backup. Content files and the contents of layers are not
// part of it.
func (s *Store) Backup(ctx context.Context, path string) error { return s.db.Backup(ctx, path) }

// BackupWith is Backup with options.
func (s *Store) BackupWith(ctx context.Context, path string, options db.BackupOptions) error {
	return s.db.BackupWith(ctx, path, options)
}

// LayerByID returns the layer with an ID, and nothing else that the ID could
// mean as a reference.
func (tx *ReadTx) LayerByID(id model.LayerID) (*model.Layer, error) { return tx.db.Layer(id) }

// ImageByID is LayerByID for an image.
func (tx *ReadTx) ImageByID(id model.ImageID) (*model.Image, error) { return tx.db.Image(id) }

// ContainerByID is LayerByID for a container.
func (tx *ReadTx) ContainerByID(id model.ContainerID) (*model.Container, error) {
	return tx.db.Container(id)
}
