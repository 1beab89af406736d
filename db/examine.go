package db

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/flock"
)

// Examine looks at a database file that may be damaged in any way: at its pages
// first, and then, by fn, at its records. Unlike Open it asks neither for a
// marker beside the file nor for a description of the store that can be read,
// and the file may have any name: a copy or a backup will do. Nothing is
// written, and no file is made.
//
// If the file is the database of a store that others may write to, they have to
// wait until Examine returns; and Examine waits for them, but not longer than
// wait unless that is 0. The report is there even if the records could not be
// read, unless the file could not be read either.
func Examine(ctx context.Context, wait time.Duration, path string, fn func(*ReadTx) error) (pages *PageReport, err error) {
	err = ExamineAll(ctx, wait, []string{path}, func(all []*Examined) error {
		pages = all[0].Pages
		if all[0].Err != nil {
			return all[0].Err
		}
		return fn(all[0].Tx)
	})
	return pages, err
}

// examine runs fn with the records of a database file. Others have been kept from
// writing to it.
func examine(ctx context.Context, wait time.Duration, path string, fn func(*ReadTx) error) error {
	f := newFile(path, nil, false)
	defer f.close()
	f.wait = wait // which has not been used up by looking at the pages
	return f.view(ctx, func(h *handle, boltTx *bolt.Tx) error {
		tx := &ReadTx{}
		defer tx.end()
		if err := tx.beginStore(h, boltTx); err != nil {
			return err
		}
		if err := tx.checkVersion(); err != nil {
			return err
		}
		// A description that is damaged is for fn to find.
		if err := ignoreDamage(tx.checkFeatures()); err != nil {
			return err
		}
		return fn(tx)
	})
}

// keepStill takes the lock of a store, if path is the database of one, so that
// nobody writes to it until release is called.
func keepStill(ctx context.Context, path string) (release func(), err error) {
	if filepath.Base(path) != FileName {
		return func() {}, nil
	}
	lock, err := openLock(filepath.Dir(path), true)
	if err != nil || lock == nil {
		return func() {}, err
	}
	idle := make(chan struct{})
	close(idle)
	err = lock.Acquire(ctx, flock.Shared, flock.Hooks{
		Join:   func() bool { return false },
		Idle:   func() <-chan struct{} { return idle },
		Opened: func() error { return nil },
	})
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return func() { lock.Release(); lock.Close() }, nil
}

// ExamineRun runs fn in a transaction on the run database in the directory
// runRoot, as far as it is about the store with the given UUID and this boot of
// the machine. Nothing is written, and no file is made. The error matches
// fs.ErrNotExist if there is no run database.
func ExamineRun(ctx context.Context, runRoot, uuid string, fn func(*RunTx) error) error {
	boot, err := BootID()
	if err != nil {
		return err
	}
	path := filepath.Join(runRoot, RunFileName)
	f := newFile(path, nil, true)
	defer f.close()
	run := &Run{file: f, uuid: uuid, boot: boot}
	return f.view(ctx, func(h *handle, boltTx *bolt.Tx) error {
		tx := &RunTx{}
		defer tx.tx.end()
		if err := run.begin(h, boltTx, tx); err != nil {
			return err
		}
		return fn(tx)
	})
}

// ReadMarker returns the UUID that the marker in the root of a store names, or
// "" if there is no marker. If there is one without a UUID, the error matches
// model.ErrCorrupt.
func ReadMarker(root string) (uuid string, err error) {
	return readMarker(filepath.Join(root, FileName))
}
