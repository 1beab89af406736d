package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Loader makes a database file of single records, as Look has found them.
type Loader struct {
	path, temp string
	file       *bolt.DB
	tx         *bolt.Tx
}

// NewLoader begins a file with the given name, which must be free. It gets the
// name when Finish has been called; Discard must be called in any case.
func NewLoader(path string) (_ *Loader, err error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s: %w", path, model.ErrExists)
	}
	l := &Loader{path: path, temp: filepath.Join(filepath.Dir(path), fsutil.TempName())}
	l.file, err = bolt.Open(l.temp, 0o600, &bolt.Options{
		FreelistType: bolt.FreelistArrayType, NoSync: true,
		OpenFile: func(name string, _ int, _ os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
			if err == nil {
				err = f.Chmod(0o600)
				overwriteInPlace(f)
			}
			return f, err
		},
	})
	if err == nil {
		l.file.AllocSize = growStep
		l.tx, err = l.file.Begin(true)
	}
	if err != nil {
		l.Discard()
		return nil, fmt.Errorf("%s: %w", path, classify(path, err))
	}
	return l, nil
}

// Bucket makes a bucket, and those that it is in, and sets the number from which
// its records are numbered.
func (l *Loader) Bucket(path []string, sequence uint64) error {
	b, err := l.bucket(path)
	if err == nil {
		err = b.SetSequence(sequence)
	}
	return l.explain(path, nil, err)
}

// Put stores a record. There must not be one with its key already.
func (l *Loader) Put(r *Record) error {
	b, err := l.bucket(r.Bucket)
	if err == nil && b.Get(r.Key) != nil {
		err = model.ErrExists
	}
	if err == nil {
		// Not nil, which bbolt takes for a bucket until the commit.
		err = b.Put(r.Key, append([]byte{}, r.Value...))
	}
	return l.explain(r.Bucket, r.Key, err)
}

func (l *Loader) explain(path []string, key []byte, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bucket %q, key %q: %w", path, key, errors.Join(model.ErrInvalid, err))
}

func (l *Loader) bucket(path []string) (*bolt.Bucket, error) {
	if len(path) == 0 {
		return nil, errors.New("a record outside all buckets")
	}
	b, err := l.tx.CreateBucketIfNotExists([]byte(path[0]))
	for _, name := range path[1:] {
		if err != nil {
			return nil, err
		}
		b, err = b.CreateBucketIfNotExists([]byte(name))
	}
	if err != nil {
		return nil, err
	}
	b.FillPercent = fillPercent
	return b, nil
}

// Finish makes the file durable, checks its pages, and gives it its name. The
// numbers of its transactions follow the given one.
func (l *Loader) Finish(ctx context.Context, txID uint64) error {
	err := l.tx.Commit()
	err = errors.Join(err, l.file.Sync(), l.file.Close())
	l.file = nil
	r := &replacement{path: l.path, temp: l.temp, atLeast: txID}
	if err == nil {
		err = r.number()
	}
	if err == nil {
		err = r.verify(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.path, classify(l.temp, err))
	}
	// Unlike a rename this fails if somebody else was faster.
	if err := os.Link(l.temp, l.path); err != nil {
		if errors.Is(err, os.ErrExist) {
			err = model.ErrExists
		}
		return fmt.Errorf("%s: %w", l.path, err)
	}
	return fsutil.SyncDir(filepath.Dir(l.path))
}

// Discard removes what has been made, unless it is finished.
func (l *Loader) Discard() {
	if l.file != nil {
		if l.tx != nil {
			_ = l.tx.Rollback()
		}
		_ = l.file.Close()
	}
	_ = os.Remove(l.temp)
}

// Clone returns a copy of the record that stays valid.
func (r *Record) Clone() *Record {
	return &Record{Bucket: slices.Clone(r.Bucket), Key: slices.Clone(r.Key), Value: slices.Clone(r.Value)}
}
