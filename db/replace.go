package db

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// newSuffix ends the name of a file that is to take the place of a database. It
// is always the same, so that what a crash leaves over goes with the next one.
const newSuffix = ".new"

// replacement is a file that takes the place of a database while nobody uses
// that. Processes that keep the old file open notice it when their next
// transaction begins: the name leads to another file then, see wake.
type replacement struct {
	path string // of the database
	temp string // of the new file, beside it
	// atLeast is the number that the next transaction must exceed: numbers of
	// transactions are never given out twice in the life of a store.
	atLeast uint64
}

// waitAtMost returns the context for waiting for others; 0 means as long as ctx
// lasts. The cause of its end matches model.ErrBusy.
func waitAtMost(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	if wait <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, wait, fmt.Errorf("%w: waited for %v", model.ErrBusy, wait))
}

// newReplacement prepares the replacement of a database. The caller holds its
// lock.
func newReplacement(path string) (*replacement, error) {
	r := &replacement{path: path, temp: path + newSuffix}
	if err := os.Remove(r.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	old, err := (&handle{path: path}).openFile()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, model.ErrCorrupt) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = old.Close() }()
	if m, err := newestMeta(old); err == nil {
		r.atLeast = m.txID
	}
	return r, nil
}

// create makes the new file. It belongs to whom the database belongs to, or
// else the directory.
func (r *replacement) create() (*os.File, error) {
	f, err := os.OpenFile(r.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	var owner unix.Stat_t
	err = unix.Lstat(r.path, &owner)
	if errors.Is(err, unix.ENOENT) {
		err = unix.Stat(filepath.Dir(r.path), &owner)
	}
	if err == nil && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
		err = f.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err := errors.Join(err, f.Chmod(0o600)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	overwriteInPlace(f)
	return f, nil
}

// discard removes the new file unless it has been put in place.
func (r *replacement) discard() { _ = os.Remove(r.temp) }

// number gives the last transaction in the new file a number from which those
// to come continue those of the database.
func (r *replacement) number() (err error) {
	f, err := os.OpenFile(r.temp, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	metas, errs := readMetas(f)
	if err := errors.Join(errs[0], errs[1]); err != nil {
		return &DamageError{Path: r.temp, Err: err}
	}
	newest := uint64(0)
	if metas[1].txID > metas[0].txID {
		newest = 1
	}
	// bbolt writes the meta pages in turn, by the number of the transaction.
	last := max(metas[newest].txID, r.atLeast)
	if last%2 != newest {
		last++
	}
	for _, page := range []struct{ at, txID uint64 }{{newest, last}, {1 - newest, last - 1}} {
		if err := setTxID(f, int64(page.at)*int64(metas[newest].pageSize), page.txID); err != nil {
			return err
		}
	}
	return f.Sync()
}

// setTxID changes the number of the transaction in the meta page at an offset.
func setTxID(f *os.File, offset int64, id uint64) error {
	var b [metaSize]byte
	if _, err := f.ReadAt(b[:], offset+pageHeaderSize); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b[48:], id)
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	binary.LittleEndian.PutUint64(b[56:], sum.Sum64())
	_, err := f.WriteAt(b[:], offset+pageHeaderSize)
	return err
}

// note adds an entry to the journal in the new file.
func (r *replacement) note(ctx context.Context, op Op, detail []string, options Options) error {
	f := newFile(r.temp, nil, false)
	h, err := f.openHandle(ctx, flock.Exclusive)
	if err != nil {
		return err
	}
	defer h.close()
	_, err = h.update(func(boltTx *bolt.Tx, space *space) (changed bool, err error) {
		tx := &Tx{space: space, now: options.Now().UTC(), limit: options.JournalLimit}
		defer tx.end()
		if err := tx.beginStore(h, boltTx); err != nil {
			return false, err
		}
		if err := errors.Join(tx.upgrade(), tx.loadUsage()); err != nil {
			return false, err
		}
		tx.note(op, "", "", detail)
		return tx.finish()
	})
	return err
}

// verify looks at all pages of the new file.
func (r *replacement) verify(ctx context.Context) error {
	report, err := CheckFile(ctx, r.temp)
	if err == nil && len(report.Problems) > 0 {
		err = &DamageError{Path: r.temp, Err: fmt.Errorf("%s", report.Problems[0])}
	}
	return err
}

// swap puts the new file in the place of the database, durably. At no instant is
// there no database. The old one gets the name keep, unless that is "".
func (r *replacement) swap(ctx context.Context, keep string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	f, err := os.Open(r.temp)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if keep != "" {
		if err := os.Link(r.path, keep); err != nil {
			return err
		}
	}
	if err := os.Rename(r.temp, r.path); err != nil {
		return err
	}
	return fsutil.SyncDir(filepath.Dir(r.path))
}
