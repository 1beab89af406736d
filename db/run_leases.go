package db

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/csdb/csdb/model"
)

// Lease keeps objects from being deleted until it expires, or the machine is
// booted again.
type Lease struct {
	ID      string         `cbor:"1,keyasint" json:"id"`
	Objects []LeasedObject `cbor:"2,keyasint" json:"objects"`
	// Reason is what the objects are kept for, for people.
	Reason string `cbor:"3,keyasint,omitempty" json:"reason,omitempty"`
	// PID and Command tell who asked for it. He need not be there any more.
	PID     int       `cbor:"4,keyasint" json:"pid"`
	Command string    `cbor:"5,keyasint" json:"command"`
	Since   time.Time `cbor:"6,keyasint" json:"since"`
	Expires time.Time `cbor:"7,keyasint" json:"expires"`
}

// LeasedObject is an object that a lease is about. It need not exist once the
// lease has expired.
type LeasedObject struct {
	Kind model.Kind `cbor:"1,keyasint" json:"kind"`
	ID   string     `cbor:"2,keyasint" json:"id"`
}

// Expired tells whether the lease counts for nothing any more.
func (l *Lease) Expired(now time.Time) bool { return !now.Before(l.Expires) }

var leases = table[Lease]{bucketLeases}

// Lease returns the lease with an ID, or nil if there is none.
func (tx *RunTx) Lease(id string) (*Lease, error) {
	if none, err := tx.leaseless(); err != nil || none {
		return nil, err
	}
	l, err := leases.get(&tx.tx.ReadTx, id)
	if err == nil {
		err = l.check(id)
	}
	if err != nil {
		return nil, ignoreMissing(err)
	}
	return l, nil
}

// HasLease tells whether there is a lease with an ID, damaged or not.
func (tx *RunTx) HasLease(id string) (bool, error) {
	if none, err := tx.leaseless(); err != nil || none {
		return false, err
	}
	return leases.has(&tx.tx.ReadTx, id)
}

// Leases returns all leases, expired or not, ordered by ID. Damaged ones are
// left out; the error joins what is wrong with them.
func (tx *RunTx) Leases() ([]Lease, error) {
	if none, err := tx.leaseless(); err != nil || none {
		return nil, err
	}
	var all []Lease
	var damage []error
	err := leases.all(&tx.tx.ReadTx, "", func(id string, l *Lease) error {
		if err := l.check(id); err != nil {
			damage = append(damage, err)
			return nil
		}
		all = append(all, *l)
		return nil
	})
	return all, errors.Join(append(damage, err)...)
}

// check returns an error if the lease is about something that is no object.
func (l *Lease) check(key string) error {
	for _, o := range l.Objects {
		if !slices.Contains(model.Kinds, o.Kind) {
			return &RecordError{Bucket: string(bucketLeases), Key: key, Err: fmt.Errorf("is about an object of kind %q", o.Kind)}
		}
	}
	return nil
}

// PutLease stores a lease, in the place of one with the same ID.
func (tx *RunTx) PutLease(l Lease) error { return leases.put(&tx.tx, l.ID, &l) }

// RemoveLease ends a lease, damaged or not; there need not be one.
func (tx *RunTx) RemoveLease(id string) error { return leases.remove(&tx.tx, id) }

// RemoveLeases ends all leases, damaged or not.
func (tx *RunTx) RemoveLeases() error {
	ids, err := keysWith(&tx.tx.ReadTx, bucketLeases, "")
	for _, id := range ids {
		if err := tx.RemoveLease(id); err != nil {
			return err
		}
	}
	return err
}

// leaseless tells whether there is no place for leases: nothing that is there
// counts, or it was made by a version of the program that knew none.
func (tx *RunTx) leaseless() (bool, error) {
	if stale, err := tx.stale(); err != nil || stale {
		return stale, err
	}
	t, err := tx.tx.root.bucket(string(bucketLeases))
	return t == nil, err
}
