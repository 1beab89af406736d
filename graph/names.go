package graph

import (
	"context"

	"github.com/csdb/csdb/model"
)

// SetNames replaces the names of an object and returns them. Names that other
// objects of the kind have are taken away from those.
func (tx *Tx) SetNames(id model.ID, names ...string) ([]string, error) {
	return tx.db.SetNames(id, names)
}

// AddNames gives names to an object, in front of those it has, and returns all
// of them. Names that other objects of the kind have are taken away from
// those.
func (tx *Tx) AddNames(id model.ID, names ...string) ([]string, error) {
	return tx.db.AddNames(id, names)
}

// RemoveNames takes names away from an object and returns the others. Names
// that it does not have are passed over.
func (tx *Tx) RemoveNames(id model.ID, names ...string) ([]string, error) {
	return tx.db.RemoveNames(id, names)
}

// SetMetadata replaces the metadata of an object.
func (tx *Tx) SetMetadata(id model.ID, text string) error {
	return tx.db.SetMetadata(id, text)
}

// SetNames is Tx.SetNames in a transaction of its own. An image of an additional
// store is copied first, see StageImage.
func (s *Store) SetNames(ctx context.Context, id model.ID, names ...string) ([]string, error) {
	return withCopy(ctx, s, id, func(tx *Tx) ([]string, error) { return tx.SetNames(id, names...) })
}

// AddNames is Tx.AddNames in a transaction of its own. An image of an additional
// store is copied first, see StageImage.
func (s *Store) AddNames(ctx context.Context, id model.ID, names ...string) ([]string, error) {
	return withCopy(ctx, s, id, func(tx *Tx) ([]string, error) { return tx.AddNames(id, names...) })
}

// RemoveNames is Tx.RemoveNames in a transaction of its own. An image of an additional
// store is copied first, see StageImage.
func (s *Store) RemoveNames(ctx context.Context, id model.ID, names ...string) ([]string, error) {
	return withCopy(ctx, s, id, func(tx *Tx) ([]string, error) { return tx.RemoveNames(id, names...) })
}

// SetMetadata is Tx.SetMetadata in a transaction of its own.
func (s *Store) SetMetadata(ctx context.Context, id model.ID, text string) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.SetMetadata(id, text) })
}
