package db

import (
	"errors"
	"fmt"

	"github.com/csdb/csdb/model"
)

// Elsewhere says that an object to which records of this store refer is in
// another one.
type Elsewhere struct {
	Kind model.Kind `cbor:"1,keyasint" json:"kind"`
	ID   string     `cbor:"2,keyasint" json:"id"`
	// Store is the UUID of the store in which the object is, and Root where that
	// store was when it was noted.
	Store string `cbor:"3,keyasint" json:"store"`
	Root  string `cbor:"4,keyasint" json:"root"`
}

func (e *Elsewhere) key() string { return joinKey(string(e.Kind), e.ID) }

// check returns an error if the note cannot be kept.
func (e *Elsewhere) check() error {
	if err := checkObject(e.Kind, e.ID); err != nil {
		return err
	}
	return checkStoreID(e.Store)
}

var elsewhere = table[Elsewhere]{bucketElsewhere}

// SetElsewhere notes in which other store an object is. What was noted about it
// before is replaced.
func (tx *Tx) SetElsewhere(e Elsewhere) error {
	if err := e.check(); err != nil {
		return err
	}
	if err := tx.space.toGrow(); err != nil {
		return model.OnObject(e.Kind, e.ID, err)
	}
	return keep(tx, elsewhere, e.key(), &e, func(old *Elsewhere) bool { return *old == e })
}

// RemoveElsewhere forgets in which other store an object is; nothing need be
// noted about it.
func (tx *Tx) RemoveElsewhere(kind model.Kind, id string) error {
	return forget(tx, elsewhere, joinKey(string(kind), id))
}

// Elsewhere returns in which other store an object is, or an error that matches
// model.ErrNotFound if nothing is noted about it.
func (tx *ReadTx) Elsewhere(kind model.Kind, id string) (*Elsewhere, error) {
	key := joinKey(string(kind), id)
	e, err := elsewhere.get(tx, key)
	if err == nil {
		err = sensible(elsewhere, key, e)
	}
	if errors.Is(err, model.ErrNotFound) {
		err = fmt.Errorf("the store of %s %s: %w", kind, id, err)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// AllElsewhere returns all objects that are noted to be in other stores, ordered
// by kind and ID. Damaged notes are left out; then the error matches
// model.ErrCorrupt.
func (tx *ReadTx) AllElsewhere() ([]Elsewhere, error) { return listOf[Elsewhere](tx, elsewhere, "") }

// IsReferred tells whether a record of this store refers to an object, which may
// be in another one: to a layer as parent, top layer or own layer, or to an image
// as that of a container.
func (tx *ReadTx) IsReferred(kind model.Kind, id string) (bool, error) {
	for _, in := range referrers(kind) {
		b, err := tx.bucket(in)
		if err != nil {
			return false, err
		}
		found := false
		err = b.scan([]byte(id+separator), func([]byte, []byte) error {
			found = true
			return errStop
		})
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// referrers returns the indexes of those who refer to an object of a kind.
func referrers(kind model.Kind) []bucket {
	switch kind {
	case model.KindLayer:
		return []bucket{bucketChildren, bucketLayerImages, bucketLayerContainers}
	case model.KindImage:
		return []bucket{bucketImageContainers}
	case model.KindContainer:
		// Nothing refers to a container.
	}
	return nil
}
