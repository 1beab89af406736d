package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// others returns the stores that belong to this one.
func (s *Store) others() []*Store {
	all := slices.Clone(s.additional)
	if s.images != nil {
		all = append(all, s.images)
	}
	return all
}

// borrows tells whether the store has the driver, the run database and the locks
// of another one.
func (s *Store) borrows() bool { return s.owner != s && s.owner.images != s }

// otherRoots returns the graph roots in which layers may be that those of a store
// are on top of.
func (s *Store) otherRoots() []string {
	var roots []string
	for _, root := range append([]string{s.owner.options.Root, s.owner.options.ImageStore}, s.owner.options.AdditionalStores...) {
		if root != "" && root != s.options.Root {
			roots = append(roots, root)
		}
	}
	return roots
}

// openOthers opens the image store and the additional stores.
func (s *Store) openOthers(ctx context.Context) error {
	if err := s.openImageStore(ctx); err != nil {
		return fmt.Errorf("image store %s: %w", s.options.ImageStore, err)
	}
	roots, err := s.additionalRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		opened := slices.ContainsFunc(s.additional, func(other *Store) bool { return other.options.Root == root })
		if opened || root == s.options.Root || root == s.options.ImageStore {
			continue
		}
		other, err := s.openAdditional(ctx, root)
		switch {
		case err == nil:
			s.additional = append(s.additional, other)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errOtherDriver):
			s.options.Log.WithError(err).Warnf("additional store %s is passed over", root)
		case ctx.Err() != nil:
			return err
		default:
			// What it has is missing, but everything else is there to be used.
			s.options.Log.WithError(err).Errorf("additional store %s cannot be used", root)
		}
	}
	return nil
}

// additionalRoots returns the graph roots of the additional stores, those that
// options of the driver name after the others.
func (s *Store) additionalRoots() ([]string, error) {
	entry, ok := s.options.Drivers.Find(s.info.Driver)
	if !ok {
		return s.options.AdditionalStores, nil // it could not be opened but for reading
	}
	roots, _, err := entry.ImageStores(s.options.DriverOptions)
	if err == nil {
		err = checkDirs(roots)
	}
	return slices.Concat(s.options.AdditionalStores, roots), err
}

// errOtherDriver is the error for a store that cannot be used together with
// another one.
var errOtherDriver = fmt.Errorf("%w: it was made with another driver", model.ErrInvalid)

// openAdditional opens a store that is only read. It has no driver of its own, for
// nothing may be made in its directories: that of s can show its layers.
func (s *Store) openAdditional(ctx context.Context, root string) (*Store, error) {
	other := &Store{
		options: s.options, owner: s, lasting: s.lasting, boot: s.boot,
		driver: s.driver, run: s.run, keys: s.keys, staged: make(map[*claim]bool),
	}
	other.options.Root, other.options.ReadOnly = root, true
	if err := other.openToRead(ctx); err != nil {
		return nil, errors.Join(err, other.Close())
	}
	return other, nil
}

// openToRead opens the database and the content files.
func (s *Store) openToRead(ctx context.Context) (err error) {
	s.db, err = db.Open(ctx, s.options.Root, db.Options{ReadOnly: true, Now: s.options.Now, Log: s.options.Log})
	if err != nil {
		return err
	}
	if err := s.readInfo(ctx); err != nil {
		return err
	}
	if s.info.Driver != s.owner.info.Driver {
		return fmt.Errorf("%w: %s and not %s", errOtherDriver, s.info.Driver, s.owner.info.Driver)
	}
	s.files, err = content.Open(s.options.Root)
	return err
}

// openImageStore opens the store for images, if there is to be one. It is a store
// like any other, but that it may have layers on top of those in the graph root.
func (s *Store) openImageStore(ctx context.Context) error {
	root := s.options.ImageStore
	if root == "" {
		return nil
	}
	if s.options.ReadOnly {
		other, err := s.openAdditional(ctx, root)
		if err == nil {
			s.additional = append(s.additional, other)
		}
		return err
	}
	if onlyReadable(root) {
		return fmt.Errorf("%w: its file system cannot be written to", model.ErrStoreIsReadOnly)
	}
	s.images = &Store{
		options: s.options, owner: s, lasting: s.lasting,
		keys: flock.NewKeys(filepath.Join(root, keysName)), staged: make(map[*claim]bool),
	}
	s.images.options.Root, s.images.options.Driver = root, s.info.Driver
	return s.images.open(ctx)
}
