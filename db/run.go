package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// RunFileName is the run database in the run root, the directory for what need
// not survive a reboot. Its lock has ".lock" appended.
const RunFileName = "csdb-run.db"

// Buckets of the run database, below one for each store. The package comment
// draws what is in them.
const (
	bucketMounts bucket = "mounts"
	bucketStaged bucket = "staged"
	bucketLeases bucket = "leases"
)

var runBuckets = []bucket{bucketStore, bucketMounts, bucketStaged, bucketLeases}

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
	boot, err := BootID()
	if err != nil {
		return nil, err
	}
	return openRun(ctx, runRoot, uuid, boot)
}

// BootID returns the ID that the kernel has given to this boot of the machine
// (random(4)).
func BootID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("boot ID: %w", err)
	}
	return strings.TrimSpace(string(boot)), nil
}

// openRun is OpenRun at a boot of the machine with the given ID.
func openRun(ctx context.Context, runRoot, uuid, boot string) (*Run, error) {
	path := filepath.Join(runRoot, RunFileName)
	lock, err := flock.OpenRW(path + ".lock")
	if err != nil {
		return nil, err
	}
	run := &Run{file: newFile(path, lock, true), uuid: uuid, boot: boot}
	err = run.prepare(ctx)
	if errors.Is(err, model.ErrCorrupt) {
		if err = run.file.alone(ctx, func() error { return run.discard(ctx) }); err == nil {
			err = run.prepare(ctx)
		}
	}
	if err != nil {
		run.Close()
		return nil, err
	}
	return run, nil
}

// discard removes the file unless all of it can be read: somebody else may have
// replaced it meanwhile. The caller is alone.
func (run *Run) discard(ctx context.Context) error {
	h, err := run.file.openHandle(ctx, flock.Exclusive)
	if err == nil {
		err = h.transact(false, func(boltTx *bolt.Tx) error {
			tx := &RunTx{}
			defer tx.tx.end()
			if err := run.begin(h, boltTx, tx); err != nil {
				return err
			}
			return tx.tx.intact(ctx)
		})
		h.close()
	}
	switch {
	case errors.Is(err, model.ErrCorrupt):
		return os.Remove(run.file.path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// prepare makes the file, and the buckets of the store, unless they are there.
func (run *Run) prepare(ctx context.Context) error {
	if err := run.makeFile(); err != nil {
		return err
	}
	fresh := false
	err := run.View(ctx, func(tx *RunTx) error {
		fresh = tx.fresh
		return nil
	})
	if err != nil || fresh {
		return err
	}
	return run.Update(ctx, func(*RunTx) error { return nil })
}

// makeFile makes an empty run database unless there is one.
func (run *Run) makeFile() error {
	if _, err := os.Lstat(run.file.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := makeFile(run.file.path, run.uuid, runBuckets, true, func(tx *Tx) error { return boots.put(tx, keyBoot, &run.boot) })
	if err != nil && !errors.Is(err, model.ErrExists) {
		return fmt.Errorf("run database %s: %w", run.file.path, err)
	}
	return nil
}

// Close ends the use of the run database.
func (run *Run) Close() { run.file.close() }

// RunTx is a transaction on the run database. It is valid only inside the
// function that it is given to.
type RunTx struct {
	tx Tx
	// fresh means that what is there is about this boot of the machine. What is
	// not is as good as not there.
	fresh bool
}

// View runs fn in a transaction that only reads.
func (run *Run) View(ctx context.Context, fn func(*RunTx) error) error {
	return run.revive(func() error {
		return run.file.view(ctx, func(h *handle, boltTx *bolt.Tx) error {
			tx := &RunTx{}
			defer tx.tx.end()
			if err := run.begin(h, boltTx, tx); err != nil {
				return err
			}
			return fn(tx)
		})
	})
}

// Update runs fn in a transaction that may write.
func (run *Run) Update(ctx context.Context, fn func(*RunTx) error) error {
	return run.revive(func() error {
		return run.file.update(ctx, func(h *handle, boltTx *bolt.Tx, space *space) (bool, error) {
			tx := &RunTx{tx: Tx{space: space}}
			defer tx.tx.end()
			if err := run.begin(h, boltTx, tx); err != nil {
				return false, err
			}
			if err := run.renew(tx); err != nil {
				return false, err
			}
			err := fn(tx)
			return err == nil, err
		}, nil)
	})
}

// revive runs a transaction, and once more if the file had been removed: a run
// root may be cleaned while the store is in use.
func (run *Run) revive(transact func() error) error {
	err := transact()
	if !errors.Is(err, fs.ErrNotExist) || exists(run.file.path) {
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

// begin begins a transaction on the part of the file that belongs to the store.
func (run *Run) begin(h *handle, boltTx *bolt.Tx, tx *RunTx) error {
	if tx.tx.space == nil {
		tx.tx.space = &space{} // bbolt itself refuses to write
	}
	if err := tx.tx.begin(h.path, h.file, boltTx, run.uuid, &h.buffers); err != nil || tx.tx.root == nil {
		return err
	}
	boot, err := boots.get(&tx.tx.ReadTx, keyBoot)
	if err != nil {
		return ignoreMissing(err)
	}
	tx.fresh = *boot == run.boot
	return nil
}

// renew makes the buckets of the store anew unless they are about this boot. A
// version of the program that knew no leases may have made those.
func (run *Run) renew(tx *RunTx) error {
	if tx.fresh {
		_, err := tx.tx.root.makeBucket(string(bucketLeases))
		return err
	}
	if err := tx.tx.top().removeBucket(run.uuid); err != nil {
		return err
	}
	if err := tx.tx.makeBuckets(run.uuid, runBuckets); err != nil {
		return err
	}
	tx.tx.open = nil
	tx.fresh = true
	return boots.put(&tx.tx, keyBoot, &run.boot)
}
