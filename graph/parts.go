package graph

import "github.com/csdb/csdb/model"

// Part is one of the stores that are used as one: that in the graph root, its image
// store, and its additional stores.
type Part struct {
	Root     string // its graph root
	ReadOnly bool   // nothing is ever changed in it
}

// Parts returns all of them, in the order in which layers are looked for.
func (s *Store) Parts() []Part {
	parts := []Part{{Root: s.options.Root, ReadOnly: s.options.ReadOnly}}
	if s.images != nil {
		parts = append(parts, Part{Root: s.images.options.Root})
	}
	for _, other := range s.additional {
		parts = append(parts, Part{Root: other.options.Root, ReadOnly: true})
	}
	return parts
}

// RootOf returns the graph root of the store that has an object.
func (tx *ReadTx) RootOf(id model.ID) (string, error) {
	at, err := tx.db.placeOf(id)
	if err != nil {
		return "", err
	}
	return at.home.options.Root, nil
}
