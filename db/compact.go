package db

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// CompactOptions say when a database is compacted.
type CompactOptions struct {
	// IfFree is the percentage of the pages that must be free; otherwise nothing
	// is done.
	IfFree int
	// Wait is how long to wait for others who use the database; 0 means as long
	// as the context lasts.
	Wait time.Duration
	// Progress is told how far it has come.
	Progress Progress
}

// Compacted tells what Compact has done.
type Compacted struct {
	// Before and After describe the file. They are equal if there was nothing
	// to do.
	Before, After FileInfo
	Done          bool
}

// Compact writes the database anew without its free pages, and puts the new file
// in the place of the old one. Everybody who wants to use the database waits
// meanwhile: some 10 ms for a small one, one or two seconds for each 100 MB; and it
// takes memory for everything in it.
//
// The new file is complete, durable and compared with the old one before it gets
// its name. Whatever fails, and whenever the power goes, the one or the other is
// there. Transactions keep their numbers.
func (db *DB) Compact(ctx context.Context, options CompactOptions) (*Compacted, error) {
	if db.options.ReadOnly || db.file.lock == nil {
		return nil, fmt.Errorf("database %s: %w", db.file.path, model.ErrStoreIsReadOnly)
	}
	wait, cancel := waitAtMost(ctx, options.Wait)
	defer cancel()
	done := &Compacted{}
	err := db.View(wait, func(tx *ReadTx) (err error) {
		done.Before, err = tx.FileInfo()
		return err
	})
	done.After = done.Before
	if err != nil || done.Before.Free*100 < options.IfFree*done.Before.Pages {
		return done, err
	}
	always := func(*committed) bool { return true }
	err = db.file.alone(wait, func() error { return db.compact(ctx, wait, always, options.Progress) })
	if err != nil {
		return nil, fmt.Errorf("compact %s: %w", db.file.path, err)
	}
	done.Done = true
	// It has been done, whether or not the caller still waits.
	return done, db.View(context.WithoutCancel(ctx), func(tx *ReadTx) (err error) {
		done.After, err = tx.FileInfo()
		return err
	})
}

// compact replaces the database while nobody uses it, if what it then is like is
// worth it. It waits under the context wait for programs that do not know our
// lock.
func (db *DB) compact(ctx, wait context.Context, worthwhile func(*committed) bool, progress Progress) error {
	// The handle has the lock that those programs look for, until the new file is
	// in place.
	h, err := db.file.openHandle(wait, flock.Exclusive)
	if err != nil {
		return err
	}
	defer h.close()
	now := h.committed()
	if !worthwhile(now) {
		return nil
	}
	// What is pending must find the file as it was.
	err = h.transact(false, func(boltTx *bolt.Tx) error {
		tx := &ReadTx{}
		defer tx.end()
		if err := tx.beginStore(h, boltTx); err != nil {
			return err
		}
		pending, err := tx.pending()
		if pending != nil {
			err = &UndecidedError{Path: h.path, Prepared: *pending, Err: errPending}
		}
		return err
	})
	if err != nil {
		return err
	}
	// What is damaged might get lost in a copy.
	report, err := CheckFile(ctx, db.file.path)
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return &DamageError{Path: db.file.path, Err: errors.New(report.Problems[0].String())}
	}
	r, err := newReplacement(db.file.path)
	if err != nil {
		return err
	}
	defer r.discard()
	// Everything is read three times: to be copied, and to be compared.
	c := &copier{ctx: ctx, left: 3 * (now.pages - now.free) * now.pageSize}
	c.done = progress.Start("compacting", c.left)
	if err := h.transact(false, func(from *bolt.Tx) error { return r.fill(c, from) }); err != nil {
		return err
	}
	c.done(c.left)
	if err := errors.Join(r.number(), r.note(ctx, OpCompact, nil, db.options)); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	return r.swap(ctx, "")
}

// fill makes the new file from everything that a transaction sees.
func (r *replacement) fill(c *copier, from *bolt.Tx) (err error) {
	f, err := r.create()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	file, err := bolt.Open(r.temp, 0, &bolt.Options{
		FreelistType: bolt.FreelistArrayType, NoSync: true, PageSize: from.DB().Info().PageSize,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		return classify(r.temp, err)
	}
	file.AllocSize = growStep
	err = file.Update(func(to *bolt.Tx) error { return c.copyBuckets(to, from) })
	if err == nil {
		err = c.compareBuckets(file, from)
	}
	return classify(r.temp, errors.Join(err, file.Sync(), file.Close()))
}

// fillPercent is how full the pages of the new file are. Some room keeps the
// first changes from splitting each page that they touch.
const fillPercent = 0.9

// copier copies and compares what is in a database.
type copier struct {
	ctx context.Context //nolint:containedctx // It lives as long as one copy.
	// left is how many bytes there still are to be worked on, about, and done is
	// told of those that have been.
	left int64
	done func(n int64)
}

// pass goes on behind a key and its value, unless the context has ended.
func (c *copier) pass(key, value []byte) error {
	const header = 16 // of each in a page
	n := min(int64(header+len(key)+len(value)), c.left)
	c.left -= n
	c.done(n)
	return context.Cause(c.ctx)
}

// copyBuckets copies everything from one transaction to another.
func (c *copier) copyBuckets(to, from *bolt.Tx) error {
	return from.ForEach(func(name []byte, inner *bolt.Bucket) error {
		made, err := to.CreateBucket(name)
		if err != nil {
			return err
		}
		return c.copyBucket(made, inner)
	})
}

func (c *copier) copyBucket(to, from *bolt.Bucket) error {
	to.FillPercent = fillPercent
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	return from.ForEach(func(key, value []byte) error {
		if err := c.pass(key, value); err != nil {
			return err
		}
		if value != nil {
			return to.Put(key, value)
		}
		made, err := to.CreateBucket(key)
		if err != nil {
			return err
		}
		return c.copyBucket(made, from.Bucket(key))
	})
}

// compareBuckets looks whether the copy has what it is a copy of.
func (c *copier) compareBuckets(file *bolt.DB, from *bolt.Tx) error {
	want, err := c.sumOf(from)
	if err != nil {
		return err
	}
	return file.View(func(tx *bolt.Tx) error {
		got, err := c.sumOf(tx)
		if err == nil && got != want {
			err = errors.New("the copy differs from the original")
		}
		return err
	})
}

// sumOf returns a checksum over everything that a transaction sees.
func (c *copier) sumOf(tx *bolt.Tx) (uint64, error) {
	s := &contentSum{pass: c.pass, table: crc64.MakeTable(crc64.ECMA)}
	err := tx.ForEach(s.bucket)
	return s.sum, err
}

// contentSum sums up buckets.
type contentSum struct {
	pass  func(key, value []byte) error
	table *crc64.Table
	sum   uint64
}

func (s *contentSum) add(parts ...[]byte) {
	for _, part := range parts {
		s.sum = crc64.Update(s.sum, s.table, seqKey(uint64(len(part))))
		s.sum = crc64.Update(s.sum, s.table, part)
	}
}

func (s *contentSum) bucket(name []byte, b *bolt.Bucket) error {
	s.add([]byte("bucket"), name, seqKey(b.Sequence()))
	err := b.ForEach(func(key, value []byte) error {
		if value == nil {
			return s.bucket(key, b.Bucket(key))
		}
		s.add(key, value)
		return s.pass(key, value)
	})
	s.add([]byte("end"))
	return err
}
