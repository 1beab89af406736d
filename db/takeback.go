package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// takeBackSuffix ends the name of a copy that is about to take the place of the
// database.
const takeBackSuffix = ".takeback"

// TakeBack puts a byte-for-byte copy of the database, made in the transaction
// txID, in its place again, after fn has succeeded; nobody uses the database
// meanwhile. If that transaction was not committed there is nothing to be put
// back. If there were others after it the error matches model.ErrInvalid, and
// fn is not called. An empty copy means that the database is not to be changed.
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
		return replaceBy(db.file.path, copied)
	})
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

// replaceBy replaces a file by a copy of another one.
func replaceBy(path, other string) (err error) {
	from, err := os.Open(other)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	temp := path + takeBackSuffix
	to, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	overwriteInPlace(to)
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Sync(), to.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return fsutil.SyncDir(filepath.Dir(path))
}
