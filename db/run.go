package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// RunFileName is the run database in the run root, the directory for what need
// not survive a reboot.
const RunFileName = "csdb-run.db"

// Buckets of the run database, below one for each store. The package comment
// draws what is in them.
const (
	bucketMounts bucket = "mounts"
	bucketStaged bucket = "staged"
)

var runBuckets = []bucket{bucketStore, bucketMounts, bucketStaged}

// keyBoot is the key of the boot ID in bucketStore of the run database.
const keyBoot = "boot"

var boots = table[string]{bucketStore}

// Run is the run database: what is true only as long as the machine runs. It
// is not synced to disk. Several stores may share a run root.
type Run struct {
	file *file
	uuid string
	boot string
}

// OpenRun opens the run database in the directory runRoot for the store with
// the given UUID, and makes it if need be. What it says about an earlier boot
// of the machine is dropped; so is a file that cannot be read, for it may have
// been written to when the power went.
func OpenRun(ctx context.Context, runRoot, uuid string) (*Run, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(runRoot, RunFileName)
	lock, err := flock.OpenRW(path + ".lock")
	if err != nil {
		return nil, err
	}
	run := &Run{file: newFile(path, lock, true), uuid: uuid, boot: boot}
	err = run.prepare(ctx)
	if errors.Is(err, model.ErrCorrupt) {
		if err = os.Remove(path); err == nil {
			err = run.prepare(ctx)
		}
	}
	if err != nil {
		run.Close()
		return nil, err
	}
	return run, nil
}

// bootID returns the ID that the kernel has given to this boot (random(4)).
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("boot ID: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// prepare makes the file, and the buckets of the store, unless they are there.
func (run *Run) prepare(ctx context.Context) error {
	if err := run.makeFile(); err != nil {
		return err
	}
	fresh := false
	err := run.file.view(ctx, func(bolt *bbolt.Tx) error {
		tx := &ReadTx{path: run.file.path, bolt: bolt, root: bolt.Bucket([]byte(run.uuid))}
		boot, err := boots.getIfAny(tx, keyBoot)
		fresh = boot == run.boot
		return err
	})
	if err != nil || fresh {
		return err
	}
	return run.file.update(ctx, func(bolt *bbolt.Tx, space *space) (bool, error) {
		return true, run.reset(bolt, space)
	})
}

// makeFile makes an empty run database unless there is one.
func (run *Run) makeFile() error {
	if _, err := os.Lstat(run.file.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := filepath.Join(filepath.Dir(run.file.path), fsutil.TempName())
	defer func() { _ = os.Remove(temp) }()
	bolt, err := bbolt.Open(temp, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return fmt.Errorf("run database %s: %w", run.file.path, err)
	}
	if err := errors.Join(os.Chmod(temp, 0o600), bolt.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, run.file.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// reset makes the buckets of the store anew.
func (run *Run) reset(bolt *bbolt.Tx, space *space) error {
	root, err := bolt.CreateBucketIfNotExists([]byte(run.uuid))
	if err != nil {
		return err
	}
	tx := &Tx{ReadTx: ReadTx{path: run.file.path, bolt: bolt, root: root}, space: space}
	if boot, err := boots.getIfAny(&tx.ReadTx, keyBoot); err == nil && boot == run.boot {
		return nil // somebody else was faster
	}
	if err := bolt.DeleteBucket([]byte(run.uuid)); err != nil {
		return err
	}
	if tx.root, err = bolt.CreateBucket([]byte(run.uuid)); err != nil {
		return err
	}
	for _, name := range runBuckets {
		if _, err := tx.root.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return boots.put(tx, keyBoot, &run.boot)
}

// getIfAny returns a record, or the zero value if there is no such record or
// no such bucket.
func (t table[T]) getIfAny(tx *ReadTx, key string) (T, error) {
	var zero T
	if tx.root == nil || tx.root.Bucket([]byte(t.name)) == nil {
		return zero, nil
	}
	record, err := t.get(tx, key)
	if err != nil {
		return zero, ignoreMissing(err)
	}
	return *record, nil
}

// Close ends the use of the run database.
func (run *Run) Close() { run.file.close() }

// RunTx is a transaction on the run database. It is valid only inside the
// function that it is given to.
type RunTx struct{ tx Tx }

// View runs fn in a transaction that only reads.
func (run *Run) View(ctx context.Context, fn func(*RunTx) error) error {
	return run.revive(func() error {
		return run.file.view(ctx, func(bolt *bbolt.Tx) error { return run.transact(bolt, &space{}, fn) })
	})
}

// Update runs fn in a transaction that may write.
func (run *Run) Update(ctx context.Context, fn func(*RunTx) error) error {
	return run.revive(func() error {
		return run.file.update(ctx, func(bolt *bbolt.Tx, space *space) (bool, error) {
			err := run.transact(bolt, space, fn)
			return err == nil, err
		})
	})
}

// revive runs a transaction, and once more if the file had been removed: a run
// root may be cleaned while the store is in use.
func (run *Run) revive(transact func() error) error {
	err := transact()
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, model.ErrNotFound) {
		return err
	}
	if _, errStat := os.Lstat(run.file.path); !errors.Is(errStat, fs.ErrNotExist) {
		return err
	}
	if err := fsutil.MakeDirs(filepath.Dir(run.file.path), 0o700); err != nil {
		return err
	}
	if err := run.makeFile(); err != nil {
		return err
	}
	return transact()
}

// transact runs fn in a transaction on the part of the file that belongs to
// the store.
func (run *Run) transact(bolt *bbolt.Tx, space *space, fn func(*RunTx) error) error {
	root := bolt.Bucket([]byte(run.uuid))
	if root == nil && bolt.Writable() {
		// The file has been replaced since it was opened.
		if err := run.reset(bolt, space); err != nil {
			return err
		}
		root = bolt.Bucket([]byte(run.uuid))
	}
	tx := &RunTx{tx: Tx{ReadTx: ReadTx{path: run.file.path, bolt: bolt, root: root}, space: space}}
	defer tx.tx.end()
	return fn(tx)
}
