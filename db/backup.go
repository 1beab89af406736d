package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Backup makes a copy of the database as it is at this moment, while others go
// on using it. Writers of other processes wait as long as it takes to copy the
// pages of the file into the memory of the system, not until they are on disk.
// The copy gets the name path only when it is complete, durable, and its pages
// have been checked; a file of that name that exists is not replaced.
func (db *DB) Backup(ctx context.Context, path string) error {
	return db.BackupWith(ctx, path, BackupOptions{})
}

// BackupOptions say how a backup is made.
type BackupOptions struct {
	// Progress is told how far it has come.
	Progress Progress
}

// BackupWith is Backup with options.
func (db *DB) BackupWith(ctx context.Context, path string, options BackupOptions) error {
	temp := filepath.Join(filepath.Dir(path), fsutil.TempName())
	defer func() { _ = os.Remove(temp) }()
	if err := db.copyTo(ctx, temp, options.Progress); err != nil {
		return fmt.Errorf("backup of %s: %w", db.Path(), err)
	}
	report, err := CheckFile(ctx, temp)
	if err != nil {
		return fmt.Errorf("backup of %s: %w", db.Path(), err)
	}
	if len(report.Problems) > 0 {
		return &DamageError{Path: db.Path(), Err: fmt.Errorf("backup: %s", report.Problems[0])}
	}
	if err := os.Link(temp, path); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("backup %s: %w", path, model.ErrExists)
	} else if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return fsutil.SyncDir(filepath.Dir(path))
}

// copyTo writes a copy of the database to a new file.
func (db *DB) copyTo(ctx context.Context, path string, progress Progress) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = db.View(ctx, func(tx *ReadTx) error {
		w := &contextWriter{ctx: ctx, file: f, done: progress.Start("copying", tx.bolt.Size())}
		_, err := tx.bolt.WriteTo(w)
		// What bbolt makes of an error of the writer tells less.
		return classify(path, cmp.Or(w.err, err))
	})
	if err != nil {
		return err
	}
	return classify(path, errors.Join(f.Chmod(0o600), f.Sync()))
}

// contextWriter is a file that refuses to be written to when a context has
// ended.
type contextWriter struct {
	ctx  context.Context //nolint:containedctx // It lives as long as one copy.
	file *os.File
	done func(n int64) // is told what has been written
	err  error         // the first one
}

// Write writes to the file.
func (w *contextWriter) Write(b []byte) (n int, err error) {
	if err = context.Cause(w.ctx); err == nil {
		n, err = w.file.Write(b)
		w.done(int64(n))
	}
	w.err = cmp.Or(w.err, err)
	return n, err
}
