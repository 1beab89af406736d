package db

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/model"
)

// UndecidedError is returned for a change of a database in which a transaction
// over several databases was interrupted, of which nobody can say at the moment
// whether it has taken effect. It matches model.ErrBusy.
type UndecidedError struct {
	Path     string // of the database
	Prepared Prepared
	Err      error // why the outcome is not known
}

// Error names the transaction, the store that knows its outcome, and the way out.
func (e *UndecidedError) Error() string {
	p := &e.Prepared
	return fmt.Sprintf("database %s: process %d (%s) was interrupted at %s in a transaction over several stores, and only the store %s in %s knows "+
		"whether it has taken effect: %v (make that store reachable, or, if it is lost, give up this part of the transaction by \"csdb db forsake\")",
		e.Path, p.PID, p.Command, p.Since.Format(time.RFC3339), p.Coordinator, p.Root, e.Err)
}

// Unwrap returns the class of the error. The reason is about another store, and
// not what the caller has asked for.
func (e *UndecidedError) Unwrap() error { return model.ErrBusy }

// pending returns the transaction that has to be settled first, nil if there is
// none. What cannot be read cannot be settled either: Check finds it.
func (tx *ReadTx) pending() (*Prepared, error) {
	all, err := tx.Prepared()
	if err := ignoreDamage(err); err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// canSettle tells whether the outcome of a transaction can be given effect to.
func (db *DB) canSettle() bool { return !db.options.ReadOnly && db.file.lock != nil }

// warn says, once for each transaction, that its outcome is not known.
func (db *DB) warn(pending *Prepared, err error) {
	if last := db.warned.Swap(&pending.Tx); last == nil || *last != pending.Tx {
		db.options.Log.WithError(err).Warnf("%s is read in the state before a transaction over several stores", db.file.path)
	}
}

// settle finds out what has become of a transaction that was interrupted, from one
// of the given databases or the one that the transaction names, and gives effect to
// that. The caller has no transaction.
func (db *DB) settle(ctx context.Context, pending *Prepared, known []*DB) error {
	err := db.settleWith(ctx, pending, known)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &UndecidedError{Path: db.file.path, Prepared: *pending, Err: err}
}

// settleWith is settle without an explanation. The coordinator is where it was, or
// else it is one of the given databases: it has been moved.
func (db *DB) settleWith(ctx context.Context, pending *Prepared, known []*DB) error {
	var moved *DB
	at, errAt := identityOf(pending.Root)
	for _, coordinator := range known {
		switch {
		case coordinator.uuid != pending.Coordinator:
		case errAt == nil && coordinator.identity == at:
			return db.settleBy(ctx, coordinator, pending)
		default:
			moved = coordinator
		}
	}
	if !filepath.IsAbs(pending.Root) {
		return fmt.Errorf("%w: root %q", model.ErrInvalid, pending.Root)
	}
	coordinator, err := Open(ctx, pending.Root, Options{ReadOnly: true, Log: db.options.Log})
	if err == nil {
		defer coordinator.Close()
		err = db.settleBy(ctx, coordinator, pending)
	}
	if err != nil && moved != nil && ctx.Err() == nil {
		err = db.settleBy(ctx, moved, pending)
	}
	return err
}

// settleBy settles what the database has prepared as the given one has decided.
// Both are locked, so nobody is in the middle of it.
func (db *DB) settleBy(ctx context.Context, coordinator *DB, pending *Prepared) error {
	g, err := newGroup([]*DB{db}, []*DB{coordinator})
	if err != nil {
		return err
	}
	in, by := g.write[0], g.read[0]
	return g.lock(ctx, func() error {
		store, found := "", false
		err := in.look(func(tx *ReadTx) error {
			info, err := tx.Info()
			if err != nil {
				return err
			}
			store = info.UUID
			found, err = prepared.has(tx, pending.Tx)
			return err
		})
		if err != nil || !found {
			return err // somebody else was faster
		}
		decision := false
		err = by.look(func(tx *ReadTx) (err error) {
			decision, err = tx.hasDecided(pending, store)
			return err
		})
		if err != nil {
			return err
		}
		crashpoint.Hit(crashpoint.SettleKnown)
		return in.fulfill(pending, decision, nil)
	})
}

// hasDecided tells whether a transaction that this database has coordinated has
// taken effect, as far as a store took part in it.
func (tx *ReadTx) hasDecided(p *Prepared, store string) (bool, error) {
	info, err := tx.Info()
	if err != nil {
		return false, err
	}
	if info.UUID != p.Coordinator {
		return false, fmt.Errorf("%w: the store in its place is %s", model.ErrNotFound, info.UUID)
	}
	d, err := decided.get(tx, store)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return d.Tx == p.Tx, nil
}

// look runs fn in a transaction that only reads, while the lock is held.
func (m *member) look(fn func(*ReadTx) error) error {
	return m.h.transact(false, func(boltTx *bolt.Tx) error {
		m.boltTx = boltTx
		if err := m.beginReading(); err != nil {
			return err
		}
		defer m.readTx.end()
		return fn(m.readTx)
	})
}

// Forsake gives up this database's part of transactions over several databases of
// which nobody can say any more whether they have taken effect, and returns them.
// If one has, its changes are in the other databases and not in this one. Those
// whose outcome can be found out are settled before, and not returned.
func (db *DB) Forsake(ctx context.Context) (forsaken []Prepared, err error) {
	if err := db.View(ctx, func(*ReadTx) error { return nil }); err != nil {
		return nil, err
	}
	_, err = db.updateStore(ctx, true, func(tx *Tx) error {
		var err error
		forsaken, err = tx.Prepared()
		if err := ignoreDamage(err); err != nil {
			return err
		}
		b, err := tx.bucket(bucketPrepared)
		if err != nil {
			return err
		}
		keys, err := keysWith(&tx.ReadTx, bucketPrepared, "")
		for _, key := range keys {
			err = errors.Join(err, b.remove([]byte(key)))
			tx.note(OpRepair, "", "", []string{"forsaken: transaction " + printable(key)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return forsaken, nil
}
