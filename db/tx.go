package db

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/csdb/csdb/model"
)

// ReadTx is a transaction that sees one consistent state of the database. It
// is valid only inside the function that it is given to, and only in the
// goroutine of that function. What its methods return are copies.
type ReadTx struct {
	path string
	bolt *bbolt.Tx
	root *bbolt.Bucket
}

// errDone is returned for the use of a transaction after its end.
var errDone = fmt.Errorf("%w: transaction has ended", model.ErrInvalid)

// newReadTx looks at the schema of the database, which another program may
// have changed since the last transaction.
func newReadTx(path string, bolt *bbolt.Tx) (*ReadTx, error) {
	tx := &ReadTx{path: path, bolt: bolt, root: bolt.Bucket([]byte(rootBucket))}
	if tx.root == nil {
		return nil, &DamageError{Path: path, Err: errors.New("not a database of csdb, or one without content")}
	}
	return tx, nil
}

// end makes the transaction unusable.
func (tx *ReadTx) end() { tx.bolt, tx.root = nil, nil }

// bucket returns a bucket of the schema.
func (tx *ReadTx) bucket(name bucket) (*bbolt.Bucket, error) {
	if tx.root == nil {
		return nil, errDone
	}
	b := tx.root.Bucket([]byte(name))
	if b == nil {
		return nil, &DamageError{Path: tx.path, Err: fmt.Errorf("bucket %s is missing", name)}
	}
	return b, nil
}

// TxID returns the number of the transaction. It grows by one with each
// commit; a read transaction has the number of the last one it sees.
func (tx *ReadTx) TxID() int {
	if tx.bolt == nil {
		return 0
	}
	return tx.bolt.ID()
}

// Tx is a transaction that may change the database. Its changes take effect
// together when its function has returned nil and the commit has succeeded,
// or not at all.
type Tx struct {
	ReadTx

	now     time.Time
	space   *space
	limit   int // of the journal, in entries
	usage   Usage
	changes []Change
}

// newTx begins a transaction.
func newTx(read *ReadTx, space *space, now time.Time, journalLimit int) (*Tx, error) {
	usage, err := read.Usage()
	if errors.Is(err, model.ErrCorrupt) || errors.Is(err, model.ErrNotFound) {
		// The sums follow from the records: they are no reason to refuse work.
		usage, err = read.countUsage()
	}
	if err != nil {
		return nil, err
	}
	return &Tx{ReadTx: *read, now: now.UTC(), space: space, limit: journalLimit, usage: *usage}, nil
}

// Now is the time of the transaction, the same for all that it does.
func (tx *Tx) Now() time.Time { return tx.now }

// finish writes what is written once at the end of a transaction, if there is
// anything to commit.
func (tx *Tx) finish() (changed bool, err error) {
	if len(tx.changes) == 0 {
		return false, nil
	}
	if err := tx.saveUsage(); err != nil {
		return false, err
	}
	return true, tx.writeJournal()
}
