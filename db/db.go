package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// Names of files in the root of a store.
const (
	// FileName is the database.
	FileName = "csdb.db"
	// MarkerName is the marker beside it.
	MarkerName = "csdb.id"
	// LockName is the lock that is taken before the database is opened. Its
	// turnstile has ".queue" appended.
	LockName = "csdb.lock"
)

// Options say how a database is used. The zero value is right for a store that
// must survive a power cut.
type Options struct {
	// ReadOnly refuses writing transactions, and creates nothing.
	ReadOnly bool
	// NoSync does without syncing commits to disk. A crash of the machine may
	// then destroy the database.
	NoSync bool
	// JournalLimit is how many entries the journal keeps, at least one; 0
	// means DefaultJournalLimit.
	JournalLimit int
	// NoAutoCompact leaves it to calls of Compact to make the file smaller.
	// Otherwise Update does that after a commit that leaves three quarters of the
	// pages free, not counting the reserve, in a file of at least 32 MiB, unless
	// there are more than 128 MiB to copy, which would take seconds. It does so only
	// if nobody else uses the database or begins to within 10 ms; if somebody
	// does, a later commit tries again, at the earliest a second later. Then everybody waits
	// as for Compact. That it fails is no error of Update, whose
	// transaction is durable already: it is logged, and not tried again by this
	// DB for an hour. The end of the context of Update is the end of it, too.
	NoAutoCompact bool
	// Log gets what goes wrong and is no error of a call. Nil means
	// logrus.StandardLogger().
	Log logrus.FieldLogger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DB is the database of a store. It may be used by several goroutines, and by
// several processes at the same time. A process may open it more than once.
type DB struct {
	file    *file
	options Options
	auto    autoCompact
	// uuid is that of the store, and identity tells its root from all others. Both
	// are set when the database is opened.
	uuid     string
	identity identity
	// boot is the ID of the boot of the machine with which a volatile database
	// vanishes, "" for all others.
	boot string
	// warned is the last transaction about whose unknown outcome the log has a
	// warning.
	warned atomic.Pointer[string]
}

// Open opens the database in the directory root. It returns an error that
// matches fs.ErrNotExist if there is no store there, and one that matches
// model.ErrCorrupt if there ought to be one. A database with an older schema is
// migrated, unless it is opened read-only, or lies on a medium that cannot be
// written to: then it can be read as it is.
func Open(ctx context.Context, root string, options Options) (*DB, error) {
	db, err := prepare(root, options)
	if err != nil {
		return nil, err
	}
	if err := db.check(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// prepare finds the database and its lock.
func prepare(root string, options Options) (*DB, error) {
	path := filepath.Join(root, FileName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if id, errMarker := readMarker(path); errMarker != nil || id != "" {
			return nil, fmt.Errorf("%w: %s is missing, though %s says that the store %s is here; bring the database back from a backup",
				model.ErrCorrupt, path, markerPath(path), id)
		}
		return nil, err
	} else if err != nil {
		return nil, err
	}
	switch {
	case options.JournalLimit == 0:
		options.JournalLimit = DefaultJournalLimit
	case options.JournalLimit < 0:
		return nil, fmt.Errorf("%w: a journal of %d entries", model.ErrInvalid, options.JournalLimit)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = logrus.StandardLogger()
	}
	lock, err := openLock(root, options.ReadOnly)
	if err != nil {
		return nil, err
	}
	return &DB{file: newFile(path, lock, options.NoSync), options: options}, nil
}

// openLock opens the lock of the database. It returns nil if nobody can write
// to the store, so that there is nothing to lock against, or if the store is
// to be read only and has no lock files that could be used.
func openLock(root string, readOnly bool) (*flock.RW, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(root, &stat); err != nil {
		return nil, fmt.Errorf("root %s: %w", root, err)
	}
	path := filepath.Join(root, LockName)
	if stat.Flags&unix.ST_RDONLY != 0 {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	if readOnly && (!exists(path) || !exists(flock.QueuePath(path))) {
		// Reading must not make files. Whoever writes will make them, and
		// wait for bbolt's own lock.
		return nil, nil //nolint:nilnil // See the comment of the function.
	}
	lock, err := flock.OpenRW(path)
	if readOnly && errors.Is(err, fs.ErrPermission) {
		return nil, nil //nolint:nilnil // Somebody who may not lock may still read.
	}
	return lock, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// check looks whether the database can be used, and migrates it if need be.
func (db *DB) check(ctx context.Context) error {
	var info *Info
	outdated := false
	err := db.View(ctx, func(tx *ReadTx) (err error) {
		outdated = tx.schema < SchemaVersion
		info, err = tx.Info()
		return err
	})
	if (outdated || errors.Is(err, errOutdated)) && !db.options.ReadOnly && db.file.lock != nil {
		if err := db.migrateWith(ctx, migrations, SchemaVersion); err != nil {
			return err
		}
		return db.check(ctx)
	}
	if err != nil {
		return err
	}
	db.uuid = info.UUID
	if db.identity, err = identityOf(filepath.Dir(db.file.path)); err != nil {
		return err
	}
	marked, err := readMarker(db.file.path)
	switch {
	case err != nil && !errors.Is(err, model.ErrCorrupt):
		return err
	case marked == info.UUID:
		return nil
	case marked != "":
		return fmt.Errorf("%w: the database %s belongs to the store %s, but %s names the store %s",
			model.ErrCorrupt, db.file.path, info.UUID, markerPath(db.file.path), marked)
	case db.file.lock == nil || db.options.ReadOnly:
		return nil
	}
	// Lost, or its author died between the two files.
	return writeMarker(db.file.path, info.UUID)
}

// Close ends the use of the database. Transactions that run come to their end.
func (db *DB) Close() { db.file.close() }

// Path returns the path of the database file.
func (db *DB) Path() string { return db.file.path }

// View runs fn in a transaction that only reads. It sees one consistent state,
// and nobody waits for it longer than it takes. fn must not begin another
// transaction; that fails with model.ErrNested.
//
// If a transaction over several databases was interrupted, View first finds out
// what has become of it, see UpdateAll. If it cannot, it sees the state before.
func (db *DB) View(ctx context.Context, fn func(*ReadTx) error) error {
	blind := !db.canSettle()
	for {
		pending, err := db.view(ctx, blind, fn)
		if pending == nil {
			return err
		}
		if err := db.settle(ctx, pending, nil); err != nil {
			if ctx.Err() != nil {
				return err
			}
			db.warn(pending, err)
			blind = true
		}
	}
}

// view is View in the state that there is. Unless it is blind to that, it returns
// the transaction over several databases whose outcome has to be found out first,
// if there is one.
func (db *DB) view(ctx context.Context, blind bool, fn func(*ReadTx) error) (pending *Prepared, err error) {
	err = db.file.view(ctx, func(h *handle, boltTx *bolt.Tx) error {
		tx := &ReadTx{}
		defer tx.end()
		if err := tx.beginStore(h, boltTx); err != nil {
			return err
		}
		if err := tx.checkSchema(); err != nil {
			return err
		}
		if !blind {
			if pending, err = tx.pending(); err != nil || pending != nil {
				return err
			}
		}
		return fn(tx)
	})
	return pending, err
}

// Update runs fn in a transaction that may write, and commits it if fn returns
// nil. While it runs everybody else who wants to write waits, so fn must not
// do anything that takes long. An error for which IsUnknown is true means that
// the commit itself failed and the outcome has to be looked up; all others mean
// that nothing has changed.
//
// If a transaction over several databases was interrupted, and nothing tells what
// has become of it, the error is an *UndecidedError.
//
// If a commit leaves most of the file free, Update then makes the file smaller,
// see Options.NoAutoCompact.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	for {
		pending, err := db.updateStore(ctx, false, fn)
		if pending == nil {
			return err
		}
		if err := db.settle(ctx, pending, nil); err != nil {
			return err
		}
	}
}

// updateStore is Update in the state that there is, see view.
func (db *DB) updateStore(ctx context.Context, blind bool, fn func(*Tx) error) (pending *Prepared, err error) {
	if db.options.ReadOnly {
		return nil, db.refuse()
	}
	done, err := db.update(ctx, func(tx *Tx) (err error) {
		if err := tx.upgrade(); err != nil {
			return err
		}
		if !blind {
			if pending, err = tx.pending(); err != nil || pending != nil {
				return cmp.Or(err, errPending)
			}
		}
		if err := tx.loadUsage(); err != nil {
			return err
		}
		return fn(tx)
	})
	if done != nil {
		db.shrink(ctx, done)
	}
	return pending, err
}

// refuse returns the error for a database that can only be read.
func (db *DB) refuse() error {
	return fmt.Errorf("database %s: %w", db.file.path, model.ErrStoreIsReadOnly)
}

// newTx prepares a transaction that may write.
func (db *DB) newTx(space *space) *Tx {
	return &Tx{space: space, now: db.options.Now().UTC(), limit: db.options.JournalLimit}
}

// update runs fn in a transaction on a database of any schema. It returns nil if
// nothing was committed.
func (db *DB) update(ctx context.Context, fn func(*Tx) error) (done *committed, err error) {
	var changes []Change
	err = db.file.update(ctx, func(h *handle, boltTx *bolt.Tx, space *space) (changed bool, err error) {
		tx := db.newTx(space)
		defer tx.end()
		if err := tx.beginStore(h, boltTx); err != nil {
			return false, err
		}
		if err := fn(tx); err != nil {
			return false, err
		}
		changes = tx.changes
		return tx.finish()
	}, func(c *committed) {
		done = c
		db.record(c, changes)
	})
	return done, err
}

// beginStore begins a transaction on the database of a store.
func (tx *ReadTx) beginStore(h *handle, boltTx *bolt.Tx) error {
	err := tx.begin(h.path, h.file, boltTx, rootBucket, &h.buffers)
	if err == nil && tx.root == nil {
		err = &DamageError{Path: h.path, Err: errors.New("not a database of csdb, or one without content")}
	}
	return err
}
