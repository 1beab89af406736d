package db

import (
	"fmt"
	"strings"
	"time"

	"github.com/csdb/csdb/model"
)

// RunRoot is a run root in which the store has a volatile database.
type RunRoot struct {
	Path string `cbor:"1,keyasint" json:"path"`
	// Boot is the ID of the boot of the machine at which that was so.
	Boot  string    `cbor:"2,keyasint" json:"boot"`
	Since time.Time `cbor:"3,keyasint" json:"since"`
}

var runRoots = table[RunRoot]{bucketRuns}

// SetRun notes that the store has a volatile database in a run root. The time is
// set.
func (tx *Tx) SetRun(r RunRoot) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := tx.space.toGrow(); err != nil {
		return err
	}
	r.Since = tx.now
	return keep(tx, runRoots, r.Path, &r, func(old *RunRoot) bool { return old.Boot == r.Boot })
}

// checkRunRoot returns an error unless a path may be a key.
func checkRunRoot(path string) error {
	if path == "" || strings.Contains(path, separator) {
		return fmt.Errorf("%w: run root %q", model.ErrInvalid, path)
	}
	return nil
}

// RemoveRun forgets a run root, which need not be noted.
func (tx *Tx) RemoveRun(path string) error {
	return forget(tx, runRoots, path)
}

// Runs returns the run roots in which the store has, or at an earlier boot of the
// machine had, volatile databases, ordered by path. Damaged entries are left out;
// then the error matches model.ErrCorrupt.
func (tx *ReadTx) Runs() ([]RunRoot, error) { return listOf[RunRoot](tx, runRoots, "") }
