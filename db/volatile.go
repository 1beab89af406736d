package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// A volatile database is one of the whole schema below a run root, for records
// that are of no use any more when the machine has been booted again. It lies in a
// directory whose name is the ID of the boot: at the next boot it is not found, and
// nobody ever opens a file that was not synced before the power went.

// HasVolatile tells whether there is a volatile database in the directory dir for
// this boot of the machine. It is made to be asked often: it costs one system call
// if there never was one.
func HasVolatile(dir string) (bool, error) {
	if _, err := os.Lstat(dir); err != nil {
		return false, ignoreNotExist(err)
	}
	boot, err := BootID()
	if err != nil {
		return false, err
	}
	return hasVolatile(dir, boot)
}

func hasVolatile(dir, boot string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, boot, FileName))
	return err == nil, ignoreNotExist(err)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// OpenVolatile opens the volatile database in the directory dir, which belongs to
// the store with the UUID of and has content of the given driver, and makes it if
// there is none for this boot of the machine; unless it is opened read-only: then
// the error matches fs.ErrNotExist. dir is for this alone, and is made if need be;
// what is left of earlier boots is removed.
//
// The database is not synced, whatever options say. It has a UUID of its own. A
// transaction fails with an error that matches fs.ErrNotExist if somebody has
// cleaned the run root: then it has to be opened anew.
func OpenVolatile(ctx context.Context, dir, of, driver string, options Options) (*DB, error) {
	boot, err := BootID()
	if err != nil {
		return nil, err
	}
	return openVolatile(ctx, dir, of, driver, boot, options)
}

// openVolatile is OpenVolatile at a boot of the machine with the given ID.
func openVolatile(ctx context.Context, dir, of, driver, boot string, options Options) (*DB, error) {
	options.NoSync = true
	root := filepath.Join(dir, boot)
	db, err := openMade(ctx, root, of, driver, options)
	if err != nil {
		return nil, err
	}
	db.boot = boot
	err = db.View(ctx, func(tx *ReadTx) error {
		info, err := tx.Info()
		if err == nil && (info.Of != of || info.Driver != driver) {
			err = fmt.Errorf("%w: the volatile database in %s belongs to the store %s with the driver %s", model.ErrInvalid, root, info.Of, info.Driver)
		}
		return err
	})
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// openMade opens a volatile database, and makes it if it is not there. Several may
// do so at the same time.
func openMade(ctx context.Context, root, of, driver string, options Options) (*DB, error) {
	for {
		db, err := Open(ctx, root, options)
		switch {
		case err == nil || options.ReadOnly || exists(filepath.Join(root, FileName)):
			return db, err
		case errors.Is(err, model.ErrCorrupt):
			// It is missing, and its marker is not: somebody has cleaned up.
			err := os.Remove(markerPath(filepath.Join(root, FileName)))
			if err := ignoreNotExist(err); err != nil {
				return nil, err
			}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
		if err := removeOtherBoots(root); err != nil {
			return nil, err
		}
		if err := fsutil.MakeDirs(root, 0o700); err != nil {
			return nil, err
		}
		db, err = create(ctx, root, &Info{Of: of, Driver: driver}, options)
		if err == nil || !errors.Is(err, model.ErrExists) {
			return db, err
		}
	}
}

// removeOtherBoots removes the volatile databases beside one, which are those of
// earlier boots.
func removeOtherBoots(root string) error {
	entries, err := os.ReadDir(filepath.Dir(root))
	if err != nil {
		return ignoreNotExist(err)
	}
	for _, entry := range entries {
		if entry.Name() == filepath.Base(root) || uuid.Validate(entry.Name()) != nil {
			continue
		}
		if err := os.RemoveAll(filepath.Join(filepath.Dir(root), entry.Name())); err != nil {
			return fmt.Errorf("volatile database of an earlier boot: %w", err)
		}
	}
	return nil
}
