package db

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/csdb/csdb/model"
)

// TrashKind tells what has to be done to get rid of something.
type TrashKind string

// The kinds of trash.
const (
	TrashLayer TrashKind = "layer" // the driver removes the layer Dir
	TrashFile  TrashKind = "file"  // a content file is unlinked
	TrashTree  TrashKind = "tree"  // a directory is removed with all that is in it
)

// Trash is content that no record refers to any more and that is to be
// removed. The entry is made by the transaction that took the last reference
// away, and removed when the content is gone.
type Trash struct {
	// Path is where the content is, relative to the root of the store. No
	// content is made there before the entry is gone.
	Path string    `cbor:"1,keyasint"`
	Kind TrashKind `cbor:"2,keyasint"`
	Dir  string    `cbor:"3,keyasint,omitempty"` // of TrashLayer: the driver's name for the layer
	// ObjectKind and ID tell to what it belonged, and Since until when.
	ObjectKind model.Kind `cbor:"4,keyasint"`
	ID         string     `cbor:"5,keyasint"`
	Since      time.Time  `cbor:"6,keyasint"`
	// PID is the process that deleted it, which is going to remove it too. It
	// is set unless it is given.
	PID int `cbor:"7,keyasint,omitempty" json:",omitempty"`
}

var trash = table[Trash]{bucketTrash}

// AddTrash notes content that is to be removed after the transaction.
func (tx *Tx) AddTrash(t Trash) error {
	if _, err := tx.FileOwner(t.Path); !errors.Is(err, model.ErrNotFound) {
		if err == nil {
			err = fmt.Errorf("content file %s: %w", t.Path, model.ErrInUse)
		}
		return err
	}
	t.Since, t.PID = tx.now, cmp.Or(t.PID, os.Getpid())
	tx.note(OpTrash, t.ObjectKind, t.ID, []string{t.Path})
	return trash.put(tx, t.Path, &t)
}

// Trash returns the entry for a path.
func (tx *ReadTx) Trash(path string) (*Trash, error) {
	t, err := trash.get(tx, path)
	if errors.Is(err, model.ErrNotFound) {
		err = fmt.Errorf("trash %s: %w", path, err)
	}
	return t, err
}

// AllTrash returns what is to be removed, ordered by path.
func (tx *ReadTx) AllTrash() ([]Trash, error) { return tx.TrashWith("") }

// TrashWith returns what is to be removed at paths that begin with prefix,
// ordered by path.
func (tx *ReadTx) TrashWith(prefix string) ([]Trash, error) {
	var all []Trash
	err := trash.all(tx, prefix, func(_ string, t *Trash) error {
		all = append(all, *t)
		return nil
	})
	return all, err
}

// RemoveTrash says that the content at the given paths is gone.
func (tx *Tx) RemoveTrash(paths ...string) error {
	for _, path := range paths {
		t, err := tx.Trash(path)
		if errors.Is(err, model.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := trash.remove(tx, path); err != nil {
			return err
		}
		tx.note(OpReap, t.ObjectKind, t.ID, []string{path})
	}
	return nil
}
