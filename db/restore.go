package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// RestoreOptions say how a database is restored.
type RestoreOptions struct {
	// Force accepts the backup of another store, whose UUID the store then
	// has.
	Force bool
	// Wait is how long to wait for others who use the store; 0 means as long as
	// the context lasts.
	Wait time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Progress is told how far it has come.
	Progress Progress
}

// Restored tells what Restore has done.
type Restored struct {
	// UUID is that of the backup, and TxID the number of its last transaction.
	UUID string
	TxID uint64
	// Kept is the path of the database that was replaced, "" if there was none.
	Kept string
}

// Restore replaces the database in the directory root by a copy of a backup.
// The backup is checked first: its pages, and everything in it that can be
// compared. The error matches model.ErrCorrupt if it is damaged, and
// model.ErrInvalid if it is that of another store. Others who use the store wait
// meanwhile, and go on with the restored database; an error that matches
// model.ErrBusy means that they did not stop in time. The database that
// was there, damaged or not, is kept beside the new one. If an error is
// returned, and Restored is nil, the database has not changed.
func Restore(ctx context.Context, root, backup string, options RestoreOptions) (_ *Restored, err error) {
	path := filepath.Join(root, FileName)
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s: %w", path, err)
		}
	}()
	if same, err := sameFiles(path, backup); err != nil {
		return nil, err
	} else if same {
		return nil, fmt.Errorf("%w: %s is the database itself", model.ErrInvalid, backup)
	}
	wait, cancel := waitAtMost(ctx, options.Wait)
	defer cancel()
	uuid := ""
	if !options.Force {
		if uuid, err = storeUUID(wait, path); err != nil {
			return nil, err
		}
	}
	release, err := alone(wait, path)
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := newReplacement(path)
	if err != nil {
		return nil, err
	}
	defer r.discard()
	if err := r.copyOf(ctx, backup, options.Progress); err != nil {
		return nil, fmt.Errorf("backup %s: %w", backup, err)
	}
	restored, err := r.examine(ctx, "backup "+backup)
	if err != nil {
		return nil, err
	}
	if !options.Force && restored.UUID != uuid {
		return nil, fmt.Errorf("%w: backup %s is that of store %s, and this is store %s", model.ErrInvalid, backup, restored.UUID, uuid)
	}
	o := Options{Now: options.Now, JournalLimit: DefaultJournalLimit}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := errors.Join(r.number(), r.note(ctx, OpRestore, []string{filepath.Base(backup)}, o)); err != nil {
		return nil, err
	}
	return restored, r.restore(ctx, restored, o.Now())
}

// storeUUID returns the UUID of the store whose database has the given path, and
// may be missing or damaged.
func storeUUID(ctx context.Context, path string) (uuid string, err error) {
	if uuid, err = readMarker(path); uuid != "" || err != nil && !errors.Is(err, model.ErrCorrupt) {
		return uuid, err
	}
	_, err = Examine(ctx, 0, path, func(tx *ReadTx) error {
		info, err := tx.Info()
		if err == nil {
			uuid = info.UUID
		}
		return err
	})
	if uuid == "" && (err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, model.ErrCorrupt)) {
		err = fmt.Errorf("%w: nothing in %s tells which store this is: %w", model.ErrInvalid, filepath.Dir(path), err)
	}
	return uuid, err
}

// sameFiles tells whether two names lead to one file. The first need not exist.
func sameFiles(database, other string) (bool, error) {
	a, err := os.Stat(database)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	b, err := os.Stat(other)
	return err == nil && os.SameFile(a, b), err
}

// alone waits until nobody uses the database path, which need not exist nor be
// intact, and keeps everybody out until release is called.
func alone(ctx context.Context, path string) (release func(), err error) {
	lock, err := openLock(filepath.Dir(path), false)
	if err != nil {
		return nil, err
	}
	if lock == nil {
		return nil, model.ErrStoreIsReadOnly
	}
	f := newFile(path, lock, false)
	idle := make(chan struct{})
	close(idle)
	var foreign *os.File
	err = lock.Acquire(ctx, flock.Exclusive, flock.Hooks{
		Join: func() bool { return false },
		Idle: func() <-chan struct{} { return idle },
		Opened: func() error {
			// Programs that do not know our lock have bbolt's.
			h := &handle{path: path}
			foreign, err = f.foreign.Lock(ctx, flock.Exclusive, h.openFile)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, model.ErrCorrupt) {
				err = nil // it is not there, or it is something else
			}
			return err
		},
	})
	if err != nil {
		lock.Close()
		return nil, err
	}
	return func() {
		if foreign != nil {
			_ = foreign.Close()
		}
		lock.Release()
		lock.Close()
	}, nil
}

// copyOf makes the new file a copy of a file, which may be the database of
// another store.
func (r *replacement) copyOf(ctx context.Context, path string, progress Progress) error {
	release, err := keepStill(ctx, path)
	if err != nil {
		return err
	}
	defer release()
	return r.copyFile(ctx, path, progress)
}

// examine checks the new file.
func (r *replacement) examine(ctx context.Context, what string) (*Restored, error) {
	restored := &Restored{}
	report, err := Examine(ctx, 0, r.temp, func(tx *ReadTx) error {
		info, err := tx.Info()
		if err != nil {
			return err
		}
		restored.UUID, restored.TxID = info.UUID, tx.snapshot()
		if err := tx.checkFeatures(); err != nil {
			return err
		}
		problems, err := tx.Check(ctx)
		for _, p := range problems {
			if !p.Code.IsReference() {
				err = errors.Join(err, fmt.Errorf("%w: %s", model.ErrCorrupt, p))
			}
		}
		return err
	})
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("%w: %s", model.ErrCorrupt, report.Problems[0])
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", what, err)
	}
	return restored, nil
}

// restore puts the new file in place. A marker that names another store would
// keep the database from being opened, and one that is missing does not.
func (r *replacement) restore(ctx context.Context, restored *Restored, now time.Time) error {
	if _, err := os.Lstat(r.path); err == nil {
		if restored.Kept, err = keptName(r.path, "before-restore", now); err != nil {
			return err
		}
	}
	if id, err := readMarker(r.path); err != nil || id != restored.UUID {
		if err := os.Remove(markerPath(r.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := fsutil.SyncDir(filepath.Dir(r.path)); err != nil {
			return err
		}
	}
	if err := r.swap(ctx, restored.Kept); err != nil {
		return err
	}
	return writeMarker(r.path, restored.UUID)
}

// keptName returns a name for a database that is replaced, which says why and
// when, and which nothing has yet.
func keptName(path, why string, now time.Time) (string, error) {
	name := fmt.Sprintf("%s.%s-%s", path, why, now.UTC().Format("20060102T150405Z"))
	for n, free := 1, name; ; n++ {
		var stat unix.Stat_t
		switch err := unix.Lstat(free, &stat); {
		case errors.Is(err, unix.ENOENT):
			return free, nil
		case err != nil:
			return "", err
		}
		free = fmt.Sprintf("%s.%d", name, n+1)
	}
}
