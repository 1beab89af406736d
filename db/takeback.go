package db

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/csdb/csdb/model"
)

// TakeBack puts a byte-for-byte copy of the database, made in the transaction
// txID, in its place again, after fn has succeeded; nobody uses the database
// meanwhile. If that transaction was not committed there is nothing to be put
// back. If there were others after it the error matches model.ErrInvalid, and
// fn is not called. An empty copy means that the database is not to be changed.
// The file keeps the mode that it has after fn.
func (db *DB) TakeBack(ctx context.Context, copied string, txID int, fn func() error) error {
	return db.file.alone(ctx, func() error {
		if copied == "" {
			return fn()
		}
		last, err := lastTxID(db.file.path)
		if err != nil {
			return err
		}
		switch {
		case last > uint64(txID):
			return fmt.Errorf("%w: database %s has changed since: its last transaction is %d and not %d", model.ErrInvalid, db.file.path, last, txID)
		case last < uint64(txID):
			return fn()
		}
		if err := fn(); err != nil {
			return err
		}
		r, err := newReplacement(db.file.path)
		if err != nil {
			return err
		}
		defer r.discard()
		if err := errors.Join(r.copyOf(ctx, copied, nil), r.keepMode()); err != nil {
			return err
		}
		return r.swap(ctx, "")
	})
}

// keepMode gives the new file the mode of the old one.
func (r *replacement) keepMode() error {
	info, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	return os.Chmod(r.temp, info.Mode().Perm())
}

// lastTxID returns the number of the last transaction.
func lastTxID(path string) (_ uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, err := newestMeta(f)
	return m.txID, err
}
