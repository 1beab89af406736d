package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/csdb/csdb/model"
)

// Undoable is the last transaction of a database, if it can be taken back: the
// state before it has not been written over.
type Undoable struct {
	TxID uint64 // of the last transaction
	To   uint64 // of the one before it
	// Entry is what the journal has about the last transaction, nil if that
	// cannot be read.
	Entry *JournalEntry
}

// LastTx tells what Rollback would take back. The error matches
// model.ErrUnsupported if there is nothing that could be.
func LastTx(ctx context.Context, wait time.Duration, path string) (*Undoable, error) {
	waiting, cancel := waitAtMost(ctx, wait)
	defer cancel()
	release, err := keepStill(waiting, path)
	if err != nil {
		return nil, err
	}
	u, _, err := undoable(ctx, path)
	release()
	if err != nil {
		return nil, err
	}
	_, err = Examine(ctx, wait, path, func(tx *ReadTx) error {
		return tx.Journal(0, func(e *JournalEntry) bool {
			if uint64(e.TxID) == u.TxID {
				u.Entry = e
			}
			return ctx.Err() == nil
		})
	})
	if err != nil && !errors.Is(err, model.ErrCorrupt) {
		return nil, err
	}
	return u, nil
}

// undoable looks whether the state before the last transaction is whole, and
// returns the meta page that it has.
func undoable(ctx context.Context, path string) (*Undoable, meta, error) {
	f, err := (&handle{path: path}).openFile()
	if err != nil {
		return nil, meta{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, meta{}, err
	}
	metas, errs := readMetas(f)
	if err := errors.Join(errs[0], errs[1]); err != nil {
		return nil, meta{}, fmt.Errorf("%w: there are not two meta pages: %w", model.ErrUnsupported, err)
	}
	last, before := metas[0], metas[1]
	if before.txID > last.txID {
		last, before = before, last
	}
	if before.root == last.root {
		return nil, meta{}, fmt.Errorf("%w: the state before transaction %d is the same: the file has just been written as a whole", model.ErrUnsupported, last.txID)
	}
	report := &PageReport{}
	if err := checkPages(ctx, f, before, info.Size(), report); err != nil {
		return nil, meta{}, err
	}
	if len(report.Problems) > 0 {
		return nil, meta{}, fmt.Errorf("%w: the state before transaction %d has been written over in part: %s", model.ErrUnsupported, last.txID, report.Problems[0])
	}
	return &Undoable{TxID: last.txID, To: before.txID}, before, nil
}

// RolledBack tells what Rollback has done.
type RolledBack struct {
	// Kept is the path of the database as it was before.
	Kept string
}

// Rollback takes back the last transaction of the database in the directory
// root, which must be the given one, else the error matches model.ErrBusy. The
// database as it was is kept beside it. The state before must be without
// contradictions. Content is not touched: what the transaction has made is
// without a record, and what was removed after it does not come back.
func Rollback(ctx context.Context, root string, txID uint64, options RestoreOptions) (_ *RolledBack, err error) {
	path := filepath.Join(root, FileName)
	defer func() {
		if err != nil {
			err = fmt.Errorf("roll back %s: %w", path, err)
		}
	}()
	wait, cancel := waitAtMost(ctx, options.Wait)
	defer cancel()
	release, err := alone(wait, path)
	if err != nil {
		return nil, err
	}
	defer release()
	u, before, err := undoable(ctx, path)
	if err != nil {
		return nil, err
	}
	if u.TxID != txID {
		return nil, fmt.Errorf("%w: the last transaction is %d by now, and not %d", model.ErrBusy, u.TxID, txID)
	}
	r, err := newReplacement(path)
	if err != nil {
		return nil, err
	}
	defer r.discard()
	if err := r.copyFile(ctx, path, nil); err != nil {
		return nil, err
	}
	if err := r.forget(before); err != nil {
		return nil, err
	}
	if _, err := r.examine(ctx, "the state before"); err != nil {
		return nil, err
	}
	o := Options{Now: options.Now, JournalLimit: DefaultJournalLimit}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := errors.Join(r.number(), r.note(ctx, OpRevert, []string{fmt.Sprintf("transaction %d", txID)}, o)); err != nil {
		return nil, err
	}
	done := &RolledBack{}
	if done.Kept, err = keptName(path, "before-rollback", o.Now()); err != nil {
		return nil, err
	}
	return done, r.swap(ctx, done.Kept)
}

// forget makes both meta pages of the new file the given one.
func (r *replacement) forget(before meta) (err error) {
	f, err := os.OpenFile(r.temp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size := int64(before.pageSize)
	from, to := int64(0), size
	if metas, _ := readMetas(f); metas[1] == before {
		from, to = size, 0
	}
	var body [metaSize]byte
	if _, err := f.ReadAt(body[:], from+pageHeaderSize); err != nil {
		return err
	}
	_, err = f.WriteAt(body[:], to+pageHeaderSize)
	return err
}

// copyFile makes the new file a copy of a file that nobody writes to.
func (r *replacement) copyFile(ctx context.Context, path string, progress Progress) (err error) {
	from, err := (&handle{path: path}).openFile()
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := r.create()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	_, err = io.Copy(&contextWriter{ctx: ctx, file: to, done: progress.Start("copying", info.Size())}, from)
	return classify(r.temp, err)
}
