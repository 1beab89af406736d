package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Create makes an empty database for a store with the given driver in the
// directory root, and opens it. If there is one already it returns an error
// that matches model.ErrExists.
func Create(ctx context.Context, root, driver string, options Options) (*DB, error) {
	return create(ctx, root, &Info{Driver: driver}, options)
}

// create is Create for a store of which info tells all but its UUID and the time.
func create(ctx context.Context, root string, info *Info, options Options) (*DB, error) {
	path := filepath.Join(root, FileName)
	if options.ReadOnly {
		return nil, fmt.Errorf("database %s: %w", path, model.ErrStoreIsReadOnly)
	}
	if id, err := readMarker(path); err != nil || id != "" {
		return nil, fmt.Errorf("%s: %w", markerPath(path), errors.Join(model.ErrExists, err))
	}
	if err := info.begin(options); err != nil {
		return nil, err
	}
	fill := func(tx *Tx) error {
		version := uint64(SchemaVersion)
		return errors.Join(schemas.put(tx, keySchema, &version), infos.put(tx, keyInfo, info), tx.saveUsage())
	}
	if err := makeFile(path, rootBucket, buckets, options.NoSync, fill); err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return Open(ctx, root, options)
}

// begin gives a new store its UUID and the time of its creation.
func (i *Info) begin(options Options) error {
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("UUID: %w", err)
	}
	now := time.Now
	if options.Now != nil {
		now = options.Now
	}
	i.UUID, i.Created = id.String(), now().UTC()
	return nil
}

// makeFile makes a bbolt file with a root bucket and those in it, durably
// unless noSync is set. If there is a file of that name the error matches
// model.ErrExists.
func makeFile(path, root string, buckets []bucket, noSync bool, fill func(*Tx) error) error {
	temp := filepath.Join(filepath.Dir(path), fsutil.TempName())
	defer func() { _ = os.Remove(temp) }()
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Chmod(0o600); err != nil { // whatever the umask says
		return err
	}
	overwriteInPlace(f)
	if err := writeBuckets(f, root, buckets, noSync, fill); err != nil {
		return classify(path, err)
	}
	// Unlike a rename this fails if somebody else was faster.
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return model.ErrExists
	} else if err != nil {
		return err
	}
	if noSync {
		return nil
	}
	return fsutil.SyncDir(filepath.Dir(path))
}

// writeBuckets fills an empty file.
func writeBuckets(f *os.File, root string, buckets []bucket, noSync bool, fill func(*Tx) error) error {
	file, err := bolt.Open(f.Name(), 0, &bolt.Options{FreelistType: bolt.FreelistArrayType, NoSync: noSync})
	if err != nil {
		return err
	}
	err = file.Update(func(boltTx *bolt.Tx) error {
		tx := &Tx{space: &space{}}
		defer tx.end()
		if err := tx.begin(f.Name(), f, boltTx, root, nil); err != nil {
			return err
		}
		if err := tx.makeBuckets(root, buckets); err != nil {
			return err
		}
		return fill(tx)
	})
	return errors.Join(err, file.Close())
}

// makeBuckets makes the root bucket, if need be, and those in it.
func (tx *Tx) makeBuckets(root string, buckets []bucket) (err error) {
	if tx.root, err = tx.top().makeBucket(root); err != nil {
		return err
	}
	tx.root.name = ""
	for _, name := range buckets {
		if _, err := tx.root.makeBucket(string(name)); err != nil {
			return err
		}
	}
	return nil
}
