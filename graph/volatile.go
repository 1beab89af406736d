package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// Containers that may be lost with the run root have their records there, in a
// volatile database: those that are created volatile, and all that are created
// in a transient store. There is one for either mode, and whoever uses the store
// in one mode does not see the containers of the other; but he does not take
// away what they need. What belongs to the records, layers and data items, is in
// the graph root as always. When the database has gone, it is content without a
// record.
//
// A volatile database is looked at only under the lock of that in the graph root.
// It is made when it is first needed after the machine has been booted, so that it
// costs those nothing who have no such containers.

// volatile is one of the volatile databases of a store.
type volatile struct {
	role role
	dir  string // with a sub-directory for the boot of the machine
	boot string

	mu     sync.Mutex
	db     *db.DB // nil if it is not open
	closed bool
}

// volatileDirs are the directories in the run root with the volatile databases,
// by whether the store is transient. Below each there is one for each store by its
// UUID, see db.OpenVolatile.
var volatileDirs = map[bool]string{false: "csdb-volatile", true: "csdb-transient"}

// volatileDir returns the directory of a volatile database of the store.
func (s *Store) volatileDir(runRoot string, transient bool) string {
	return filepath.Join(runRoot, volatileDirs[transient], s.info.UUID)
}

// findVolatile prepares the use of the volatile databases.
func (s *Store) findVolatile() {
	if s.options.RunRoot == "" {
		return
	}
	s.volatiles = []*volatile{
		{role: roleVolatile, boot: s.boot, dir: s.volatileDir(s.options.RunRoot, s.options.TransientStore)},
		{role: roleHidden, boot: s.boot, dir: s.volatileDir(s.options.RunRoot, !s.options.TransientStore)},
	}
}

// exists tells whether the database is there.
func (v *volatile) exists() (bool, error) {
	_, err := os.Lstat(filepath.Join(v.dir, v.boot, db.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// open opens the database, which is made if there is none. If the run root has been
// cleaned since it was opened, that has been the end of what was in it.
func (v *volatile) open(ctx context.Context, s *Store) (*db.DB, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, model.ErrClosed
	}
	if v.db != nil {
		if _, err := os.Lstat(v.db.Path()); !errors.Is(err, fs.ErrNotExist) {
			return v.db, err
		}
		v.db.Close()
		v.db = nil
	}
	options := db.Options{ReadOnly: s.options.ReadOnly, Now: s.options.Now, Log: s.options.Log}
	found, err := db.OpenVolatile(ctx, v.dir, s.info.UUID, s.info.Driver, options)
	if err != nil {
		return nil, fmt.Errorf("database of volatile containers: %w", err)
	}
	v.db = found
	return found, nil
}

// close ends the use of the database.
func (v *volatile) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.db != nil {
		v.db.Close()
		v.db = nil
	}
}

// errNeedsVolatile is the error of a transaction that needs a volatile database and
// began without one.
var errNeedsVolatile = fmt.Errorf("%w: there has been no database for volatile containers", model.ErrBusy)

// placeForVolatile returns the place for a container that may be lost. If there is
// none yet the error matches errNeedsVolatile.
func (tx *Tx) placeForVolatile() (*place, error) {
	s := tx.store
	if len(s.volatiles) == 0 {
		return nil, fmt.Errorf("%w: without a run root no container can be volatile", model.ErrInvalid)
	}
	p := tx.db.at(roleVolatile)
	if p == tx.db.main {
		return nil, errNeedsVolatile
	}
	// Whoever uses the store with another run root has to know.
	return p, tx.db.main.tx.SetRun(db.RunRoot{Path: s.options.RunRoot, Boot: s.boot})
}

// makeVolatile makes the database for volatile containers.
func (s *Store) makeVolatile(ctx context.Context) error {
	for _, v := range s.volatiles {
		if v.role == roleVolatile {
			if _, err := v.open(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}
