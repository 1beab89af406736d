package db

import (
	"time"
)

// Prepared is what a transaction over several databases is going to change in
// this one, if it has taken effect in the one that coordinates it: that database
// knows, and nobody else. See UpdateAll.
type Prepared struct {
	// Tx identifies the transaction in all databases (RFC 9562).
	Tx string `cbor:"1,keyasint" json:"tx"`
	// Coordinator is the UUID of the store that knows the outcome, and Root where
	// it was.
	Coordinator string `cbor:"2,keyasint" json:"coordinator"`
	Root        string `cbor:"3,keyasint" json:"root"`
	// PID and Command tell who did it, and Since when.
	PID     int       `cbor:"4,keyasint" json:"pid"`
	Command string    `cbor:"5,keyasint" json:"command"`
	Since   time.Time `cbor:"6,keyasint" json:"since"`
	// Steps are the changes, in their order.
	Steps []Step `cbor:"7,keyasint" json:"steps"`
}

// Step is one change of a bucket.
type Step struct {
	_ struct{} `cbor:",toarray"`

	Do StepKind `json:"do"`
	// Bucket has the names of the buckets that lead to the one that is changed,
	// without the root bucket.
	Bucket []string `json:"bucket"`
	// Key is that of the value, or the name of the bucket that is made or removed.
	Key   []byte `json:"key,omitempty"`
	Value []byte `json:"value,omitempty"`
	// Number is what StepNumber sets.
	Number uint64 `json:"number,omitempty"`
}

// StepKind tells what a step does.
type StepKind uint8

// The kinds of steps.
const (
	StepPut          StepKind = iota + 1 // a value is stored
	StepRemove                           // a value is removed
	StepNumber                           // the number is set from which a bucket numbers its records
	StepMakeBucket                       // a bucket is made in the bucket
	StepRemoveBucket                     // a bucket in the bucket is removed, with all that is in it
)

// Decided says which transaction over several databases that this one coordinated
// was the last one to change another database, and has taken effect. What that
// database has prepared for another transaction has not: each transaction begins
// with finding out what has become of the one before. So one entry for each
// database is enough.
type Decided struct {
	// Store is the UUID of the store that took part.
	Store string    `cbor:"1,keyasint" json:"store"`
	Tx    string    `cbor:"2,keyasint" json:"tx"`
	Since time.Time `cbor:"3,keyasint" json:"since"`
	// Boot is the ID of the boot of the machine with which that store vanishes, ""
	// if it does not.
	Boot string `cbor:"4,keyasint,omitempty" json:"boot,omitempty"`
}

var (
	prepared = table[Prepared]{bucketPrepared}
	decided  = table[Decided]{bucketDecided}
)

// Prepared returns the transactions over several databases of which it is not
// known here whether they have taken effect: one at most, as long as the database
// is intact. If it cannot be read the error matches model.ErrCorrupt.
func (tx *ReadTx) Prepared() ([]Prepared, error) { return listOf[Prepared](tx, prepared, "") }

// AllDecided returns the last transactions over several databases that this one
// coordinated, one for each of the others, ordered by their UUIDs.
func (tx *ReadTx) AllDecided() ([]Decided, error) { return listOf[Decided](tx, decided, "") }
