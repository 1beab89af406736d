package db

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/csdb/csdb/model"
)

// Op is what a transaction did to an object.
type Op string

// What can be done to an object.
const (
	OpCreate   Op = "create"
	OpDelete   Op = "delete"
	OpRename   Op = "rename"
	OpMetadata Op = "metadata"
	OpData     Op = "data"    // a data item was stored or deleted
	OpMake     Op = "make"    // an empty layer got its directory
	OpApply    Op = "apply"   // a diff was applied, or begins to be
	OpModify   Op = "modify"  // another part of the record changed
	OpTrash    Op = "trash"   // content is to be removed
	OpReap     Op = "reap"    // content has been removed
	OpRelease  Op = "release" // an image has one container less
	OpApp      Op = "app"     // the bucket of an embedding program changed
	OpMigrate  Op = "migrate" // the schema of the database changed
	OpRepair   Op = "repair"  // something damaged was put right
	OpRestore  Op = "restore" // the database was replaced by a backup
	OpRescue   Op = "rescue"  // the database was made anew of what could be salvaged
	OpRevert   Op = "revert"  // the last transaction was taken back
	OpCompact  Op = "compact" // the database file was written anew
	// The journal has neither of these, which are about transactions over several
	// databases, but Commits has.
	OpPrepare Op = "prepare" // changes were noted that others decide on
	OpSettle  Op = "settle"  // what was prepared took effect, or was dropped
)

// Change is one thing that a transaction did.
type Change struct {
	Op   Op         `cbor:"1,keyasint" json:"op"`
	Kind model.Kind `cbor:"2,keyasint,omitempty" json:"kind,omitempty"`
	ID   string     `cbor:"3,keyasint,omitempty" json:"id,omitempty"`
	// Detail has the names, keys or paths that the change is about.
	Detail []string `cbor:"4,keyasint,omitempty" json:"detail,omitempty"`
}

// JournalEntry tells what one transaction did.
type JournalEntry struct {
	Seq     uint64    `cbor:"1,keyasint" json:"seq"`
	TxID    int       `cbor:"2,keyasint" json:"tx"`
	Time    time.Time `cbor:"3,keyasint" json:"time"`
	PID     int       `cbor:"4,keyasint" json:"pid"`
	Command string    `cbor:"5,keyasint" json:"command"`
	Changes []Change  `cbor:"6,keyasint" json:"changes"`
	// Omitted counts further changes of a very large transaction.
	Omitted int `cbor:"7,keyasint,omitempty" json:"omitted,omitempty"`
}

const (
	// DefaultJournalLimit is how many entries the journal keeps unless the
	// options say otherwise.
	DefaultJournalLimit = 10_000
	// maxChanges is how many changes of one transaction are noted.
	maxChanges = 1000
	// maxDetail is how many names, keys or paths of one change are noted.
	maxDetail = 16
)

var journal = table[JournalEntry]{bucketJournal}

// note notes a change for the journal.
func (tx *Tx) note(op Op, kind model.Kind, id string, detail []string) {
	tx.changes = append(tx.changes, Change{Op: op, Kind: kind, ID: id, Detail: slices.Clone(detail[:min(len(detail), maxDetail)])})
}

// command is the name of this program, if it has one.
func command() string {
	if len(os.Args) == 0 {
		return ""
	}
	return filepath.Base(os.Args[0])
}

// writeJournal adds the entry of the transaction and drops the oldest ones
// beyond the limit.
func (tx *Tx) writeJournal() error {
	b, err := tx.bucket(bucketJournal)
	if err != nil {
		return err
	}
	seq, err := b.next()
	if err != nil {
		return err
	}
	txID := tx.TxID()
	if tx.late {
		txID++
	}
	entry := JournalEntry{
		Seq: seq, TxID: txID, Time: tx.now, PID: os.Getpid(), Command: command(),
		Changes: tx.changes[:min(len(tx.changes), maxChanges)],
	}
	entry.Omitted = len(tx.changes) - len(entry.Changes)
	if err := journal.put(tx, string(seqKey(seq)), &entry); err != nil {
		return err
	}
	if seq <= uint64(tx.limit) {
		return nil
	}
	var old [][]byte
	err = b.scan(nil, func(key, _ []byte) error {
		if bytes.Compare(key, seqKey(seq-uint64(tx.limit))) > 0 {
			return errStop
		}
		old = append(old, bytes.Clone(key))
		return nil
	})
	for _, key := range old {
		err = errors.Join(err, b.remove(key))
	}
	return err
}

// Journal calls fn for each entry with a number of at least from, the oldest
// first, until fn returns false. Damaged entries are passed over; the error
// joins what is wrong with them.
func (tx *ReadTx) Journal(from uint64, fn func(*JournalEntry) bool) error {
	b, err := tx.bucket(bucketJournal)
	if err != nil {
		return err
	}
	var damage []error
	err = b.scanFrom(seqKey(from), func(key, value []byte) error {
		entry, err := journal.decode(key, value)
		if err != nil {
			damage = append(damage, err)
		} else if !fn(entry) {
			return errStop
		}
		return nil
	})
	return errors.Join(append(damage, err)...)
}
