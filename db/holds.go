package db

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/model"
)

// Hold says that another store needs an object of this one, which is therefore
// not to be deleted.
type Hold struct {
	Kind model.Kind `cbor:"1,keyasint" json:"kind"`
	ID   string     `cbor:"2,keyasint" json:"id"`
	// Store is the UUID of the store that needs it, and Root where that was when
	// it said so.
	Store string `cbor:"3,keyasint" json:"store"`
	Root  string `cbor:"4,keyasint" json:"root"`
	// RunRoot is where the database of that store is if it is volatile, and Boot
	// the ID of the boot of the machine with which it vanishes: the hold counts
	// for nothing at another boot. Both are "" for a hold that counts until it is
	// removed.
	RunRoot string    `cbor:"5,keyasint,omitempty" json:"run-root,omitempty"`
	Boot    string    `cbor:"6,keyasint,omitempty" json:"boot,omitempty"`
	Since   time.Time `cbor:"7,keyasint" json:"since"`
}

// Counts tells whether the hold counts at the boot of the machine with the given
// ID, see BootID.
func (h *Hold) Counts(boot string) bool { return h.Boot == "" || h.Boot == boot }

func (h *Hold) key() string { return joinKey(string(h.Kind), h.ID, h.Store) }

// check returns an error if the hold cannot be kept.
func (h *Hold) check() error {
	if err := checkObject(h.Kind, h.ID); err != nil {
		return err
	}
	return checkStoreID(h.Store)
}

// checkObject returns an error unless kind and ID may be those of an object.
func checkObject(kind model.Kind, id string) error {
	if !slices.Contains(model.Kinds, kind) {
		return fmt.Errorf("%w: unknown kind %q", model.ErrInvalid, kind)
	}
	return model.ValidateID(kind, id)
}

// checkStoreID returns an error unless a UUID may be part of a key.
func checkStoreID(uuid string) error {
	if uuid == "" || strings.Contains(uuid, separator) {
		return fmt.Errorf("%w: %q is no UUID of a store", model.ErrInvalid, uuid)
	}
	return nil
}

var holds = table[Hold]{bucketHolds}

// AddHold notes that another store needs an object, which must exist. A hold of
// that store on the object is replaced, unless it says the same. The time is set.
func (tx *Tx) AddHold(h Hold) error {
	if err := h.check(); err != nil {
		return err
	}
	if err := tx.space.toGrow(); err != nil {
		return model.OnObject(h.Kind, h.ID, err)
	}
	if found, err := keeperOf(h.Kind).has(&tx.ReadTx, h.ID); err != nil {
		return err
	} else if !found {
		return model.Unknown(h.Kind, h.ID)
	}
	h.Since = tx.now
	return keep(tx, holds, h.key(), &h, func(old *Hold) bool {
		return old.Root == h.Root && old.RunRoot == h.RunRoot && old.Boot == h.Boot
	})
}

// RemoveHold says that the store with the given UUID does not need an object any
// more. The object need not exist, nor the hold.
func (tx *Tx) RemoveHold(kind model.Kind, id, store string) error {
	return forget(tx, holds, joinKey(string(kind), id, store))
}

// Holds returns the holds on an object, ordered by store.
func (tx *ReadTx) Holds(kind model.Kind, id string) ([]Hold, error) {
	return tx.holdsWith(joinKey(string(kind), id, ""))
}

// AllHolds returns all holds, ordered by kind, ID and store. Damaged ones are left
// out; then the error matches model.ErrCorrupt.
func (tx *ReadTx) AllHolds() ([]Hold, error) { return tx.holdsWith("") }

// keep stores a record of which the journal says nothing, unless the one that is
// there says the same.
func keep[T any](tx *Tx, t table[T], key string, record *T, same func(old *T) bool) error {
	old, err := t.get(&tx.ReadTx, key)
	if ignoreMissing(ignoreDamage(err)) != nil || err == nil && same(old) {
		return err
	}
	tx.silent = true
	return t.put(tx, key, record)
}

// forget removes a record of which the journal says nothing; there need not be
// one.
func forget[T any](tx *Tx, t table[T], key string) error {
	found, err := t.has(&tx.ReadTx, key)
	if err != nil || !found {
		return err
	}
	tx.silent = true
	return t.remove(tx, key)
}

func (tx *ReadTx) holdsWith(prefix string) ([]Hold, error) {
	return listOf[Hold](tx, holds, prefix)
}
