package db

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/model"
)

// ReadTx is a transaction that sees one consistent state of the database. It
// is valid only inside the function that it is given to, and only in the
// goroutine of that function. What its methods return are copies.
type ReadTx struct {
	path  string
	file  *os.File
	bolt  *bolt.Tx // nil when the transaction has ended
	guard guard
	root  *tree // nil if the root bucket does not exist
	open  map[bucket]*tree
	// schema is the version of the schema, 0 as long as nobody has looked.
	schema uint64
	// steps notes what is changed, unless it is nil.
	steps *[]Step
}

// errDone is returned for the use of a transaction after its end.
var errDone = fmt.Errorf("%w: transaction has ended", model.ErrInvalid)

// begin prepares a transaction on the bucket root, which need not exist. Once
// it has been called the transaction must not be copied.
func (tx *ReadTx) begin(path string, file *os.File, boltTx *bolt.Tx, root string, buffers *sync.Pool) (err error) {
	size := int64(boltTx.DB().Info().PageSize)
	tx.path, tx.file, tx.bolt = path, file, boltTx
	tx.guard.source = pageSource{file: file, size: size, count: uint64(boltTx.Size() / size)}
	tx.guard.buffers = buffers
	tx.guard.top = uint64(boltTx.Cursor().Bucket().Root())
	if tx.root, err = tx.top().bucket(root); tx.root != nil {
		tx.root.name = "" // it is the same for all buckets
	}
	return err
}

// top returns the bucket that contains all others.
func (tx *ReadTx) top() *tree { return &tree{tx: tx, bolt: tx.bolt.Cursor().Bucket()} }

// end makes the transaction unusable.
func (tx *ReadTx) end() {
	tx.bolt = nil
	tx.guard.end()
}

// bucket returns a bucket of the schema.
func (tx *ReadTx) bucket(name bucket) (*tree, error) {
	if tx.bolt == nil {
		return nil, errDone
	}
	if t := tx.open[name]; t != nil {
		return t, nil
	}
	if tx.root == nil {
		return nil, tx.missing(name)
	}
	t, err := tx.root.bucket(string(name))
	switch {
	case err == nil && t == nil && tx.lacks(name):
		t = tx.root.child(string(name)) // which is empty
	case err == nil && t == nil:
		err = tx.missing(name)
	}
	if err != nil {
		return nil, err
	}
	if tx.open == nil {
		tx.open = make(map[bucket]*tree, len(buckets))
	}
	tx.open[name] = t
	return t, nil
}

// lacks tells whether the database has a schema that does not have a bucket yet.
func (tx *ReadTx) lacks(name bucket) bool { return tx.schema != 0 && tx.schema < since(name) }

func (tx *ReadTx) missing(name bucket) error {
	return &DamageError{Path: tx.path, Err: fmt.Errorf("bucket %s is missing", name)}
}

// TxID returns the number of the transaction. It grows by one with each
// commit; a read transaction has the number of the last one it sees.
func (tx *ReadTx) TxID() int {
	if tx.bolt == nil {
		return 0
	}
	return tx.bolt.ID()
}

// snapshot returns the number of the last commit that the transaction sees.
func (tx *ReadTx) snapshot() uint64 {
	if tx.bolt.Writable() {
		return uint64(tx.bolt.ID()) - 1
	}
	return uint64(tx.bolt.ID())
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
	// silent tells that there are changes of which the journal says nothing.
	silent bool
	// late tells that the changes are not made by the transaction with this number,
	// which only prepares them, but by the one after it. See UpdateAll.
	late bool
}

// loadUsage reads the sums that the transaction will keep up to date.
func (tx *Tx) loadUsage() error {
	usage, err := tx.Usage()
	if errors.Is(err, model.ErrCorrupt) || errors.Is(err, model.ErrNotFound) {
		// The sums follow from the records: they are no reason to refuse work.
		usage, err = tx.countUsage()
	}
	if err == nil {
		tx.usage = *usage
	}
	return err
}

// Now is the time of the transaction, the same for all that it does.
func (tx *Tx) Now() time.Time { return tx.now }

// finish writes what is written once at the end of a transaction, if there is
// anything to commit.
func (tx *Tx) finish() (changed bool, err error) {
	if len(tx.changes) == 0 {
		return tx.silent, nil
	}
	if err := tx.saveUsage(); err != nil {
		return false, err
	}
	return true, tx.writeJournal()
}
