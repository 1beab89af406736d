package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Rebuilt describes a database that was made of salvaged records.
type Rebuilt struct {
	Path string
	// Omissions are what could not be brought together.
	Omissions []Omission
}

// rebuildBatch is how many records a transaction stores.
const rebuildBatch = 1000

// Rebuild makes a new database of the records, with everything that follows
// from them: indexes, counts and sums. The file gets the name path when it is
// complete and on disk; one of that name that exists is not replaced. info
// describes the store if the records do not.
//
// What contradicts itself is resolved: the better source wins, and then the
// newer record. Omissions say what was left out.
func (s *Salvaged) Rebuild(ctx context.Context, path string, info Info, options Options) (_ *Rebuilt, err error) {
	if known := s.Info(); known != nil {
		info = *known
	}
	if info.UUID == "" || info.Driver == "" {
		return nil, fmt.Errorf("%w: neither the records nor the store tell its UUID and its driver", model.ErrInvalid)
	}
	// A directory of its own is a store of its own, with locks that nobody
	// else asks for.
	temp := filepath.Join(filepath.Dir(path), fsutil.TempName())
	if err := os.Mkdir(temp, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	noSync := options.NoSync
	options.NoSync, options.ReadOnly = true, false // until it is whole
	b, err := newRebuild(temp, info, options)
	if err != nil {
		return nil, fmt.Errorf("rebuilding %s: %w", path, err)
	}
	b.resolver, b.greatest = resolve(s.Records()), s.greatest
	if err := b.write(ctx, s.TxID()); err != nil {
		return nil, fmt.Errorf("rebuilding %s: %w", path, err)
	}
	if err := nameFile(b.path, path, noSync); err != nil {
		return nil, fmt.Errorf("rebuilding %s: %w", path, err)
	}
	return &Rebuilt{Path: path, Omissions: b.omissions}, nil
}

// Plan returns what Rebuild will leave out.
func (s *Salvaged) Plan() []Omission { return resolve(s.Records()).omissions }

// rebuild is a new database that is being filled.
type rebuild struct {
	*resolver
	greatest map[bucket]uint64
	path     string
	options  Options
	db       *DB
}

// newRebuild makes an empty database.
func newRebuild(dir string, info Info, options Options) (*rebuild, error) {
	b := &rebuild{path: filepath.Join(dir, FileName), options: options}
	return b, makeFile(b.path, rootBucket, buckets, true, func(tx *Tx) error {
		version := uint64(SchemaVersion)
		return errors.Join(schemas.put(tx, keySchema, &version), infos.put(tx, keyInfo, &info), tx.saveUsage())
	})
}

// open runs fn while the database is open.
func (b *rebuild) open(fn func() error) (err error) {
	if b.db, err = prepare(filepath.Dir(b.path), b.options); err != nil {
		return err
	}
	defer b.db.Close()
	return fn()
}

// write writes everything. The numbers of transactions go on from txID.
func (b *rebuild) write(ctx context.Context, txID uint64) error {
	if err := b.open(func() error { return b.writeRecords(ctx) }); err != nil {
		return err
	}
	if txID < maxSeq { // or it would be nonsense, from which bbolt cannot go on
		if err := (&replacement{temp: b.path, atLeast: txID}).number(); err != nil {
			return err
		}
	}
	return b.open(func() error {
		return b.change(ctx, func(tx *Tx) error {
			if err := b.finish(tx); err != nil {
				return err
			}
			tx.note(OpRescue, "", "", nil)
			return tx.writeJournal()
		})
	})
}

// writeRecords writes all records.
func (b *rebuild) writeRecords(ctx context.Context) error {
	for _, part := range []struct {
		records []*SalvagedRecord
		write   func(*Tx, *SalvagedRecord) error
	}{
		{b.objects, putObject},
		{b.items, putItem},
		{b.trash, putTrash},
		{b.apps, putApp},
		{b.journal, putJournal},
		{b.places, putPlace},
	} {
		for batch := range slices.Chunk(part.records, rebuildBatch) {
			if err := b.writeBatch(ctx, batch, part.write); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBatch writes records in one transaction. If one of them cannot be
// written they are written one by one, and that one is left out.
func (b *rebuild) writeBatch(ctx context.Context, batch []*SalvagedRecord, write func(*Tx, *SalvagedRecord) error) error {
	err := b.change(ctx, func(tx *Tx) error {
		for _, record := range batch {
			if err := errors.Join(context.Cause(ctx), write(tx, record)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || !isRefusal(err) {
		return err
	}
	if len(batch) == 1 {
		b.omit(batch[0], "", "%v", err)
		return nil
	}
	for _, record := range batch {
		if err := b.writeBatch(ctx, []*SalvagedRecord{record}, write); err != nil {
			return err
		}
	}
	return nil
}

// isRefusal tells whether an error is about what was to be written, and not
// about the disk.
func isRefusal(err error) bool {
	for _, class := range []error{model.ErrInvalid, model.ErrExists, model.ErrNotFound, model.ErrInUse} {
		if errors.Is(err, class) && !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// change runs fn in a transaction that leaves no trace in the journal.
func (b *rebuild) change(ctx context.Context, fn func(*Tx) error) error {
	return b.db.file.update(ctx, func(h *handle, boltTx *bolt.Tx, space *space) (changed bool, err error) {
		tx := &Tx{space: space, now: b.db.options.Now().UTC(), limit: b.db.options.JournalLimit}
		defer tx.end()
		if err := tx.beginStore(h, boltTx); err != nil {
			return false, err
		}
		if err := tx.loadUsage(); err != nil {
			return false, err
		}
		if err := fn(tx); err != nil {
			return false, err
		}
		return true, tx.saveUsage()
	}, nil)
}

// finish writes what is written once.
func (b *rebuild) finish(tx *Tx) error {
	for in, greatest := range b.greatest {
		t, err := tx.bucket(in)
		if err == nil && t.bolt.Sequence() < greatest {
			err = t.setNumber(greatest)
		}
		if err != nil {
			return err
		}
	}
	for _, record := range b.objects {
		if image, ok := record.record.(*model.Image); ok {
			if err := ignoreMissing(tx.refreshManifests(model.KindImage, string(image.ID))); err != nil {
				return err
			}
		}
	}
	return nil
}

// nameFile gives a database its name, durably unless noSync is set.
func nameFile(from, to string, noSync bool) error {
	if err := prepareFile(from, filepath.Dir(to), noSync); err != nil {
		return err
	}
	if err := os.Link(from, to); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", to, model.ErrExists)
	} else if err != nil {
		return err
	}
	if noSync {
		return nil
	}
	return fsutil.SyncDir(filepath.Dir(to))
}

// prepareFile gives a file the owner of the store in a directory, and sees to it
// that it is on disk unless noSync is set.
func prepareFile(path, root string, noSync bool) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var owner unix.Stat_t
	if err := unix.Stat(root, &owner); err != nil {
		return err
	}
	if int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid() {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if noSync {
		return nil
	}
	return f.Sync()
}
