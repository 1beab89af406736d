package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
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
	for _, root := range s.options.AdditionalStores {
		if root == s.options.Root || root == s.options.ImageStore {
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

// errOtherDriver is the error for a store that cannot be used together with
// another one.
var errOtherDriver = fmt.Errorf("%w: it was made with another driver", model.ErrInvalid)

// openAdditional opens a store that is only read. It has no driver of its own, for
// nothing may be made in its directories: that of s can show its layers.
func (s *Store) openAdditional(ctx context.Context, root string) (other *Store, err error) {
	other = &Store{
		options: s.options, owner: s, lasting: s.lasting,
		driver: s.driver, run: s.run, keys: s.keys, staged: make(map[*claim]bool),
	}
	other.options.Root, other.options.ReadOnly = root, true
	defer func() {
		if err != nil {
			err = errors.Join(err, other.Close())
		}
	}()
	if other.db, err = db.Open(ctx, root, db.Options{ReadOnly: true, Now: s.options.Now, Log: s.options.Log}); err != nil {
		return nil, err
	}
	if err := other.readInfo(ctx); err != nil {
		return nil, err
	}
	if other.info.Driver != s.info.Driver {
		return nil, fmt.Errorf("%w: %s and not %s", errOtherDriver, other.info.Driver, s.info.Driver)
	}
	other.files, err = content.Open(root)
	return other, err
}

// openImageStore opens the store for images, if there is to be one.
func (s *Store) openImageStore(ctx context.Context) error {
	if s.options.ImageStore == "" {
		return nil
	}
	return model.ErrUnsupported
}
