package graph

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// The path of content is relative to the root of the store: "<driver>/<dir>"
// for what the driver keeps for a layer, wherever in its home that is, and the
// real path for what is in the areas of package content.

// want says for what a claim is wanted.
type want struct {
	kind db.TrashKind
	// first is the path to be had if it is free; other gives another one, a
	// different one each time.
	first string
	other func() string
	// unread tells that the record which may stand for such paths is damaged, and
	// about to be replaced. Then another path, which is random, counts as free.
	unread bool
}

// wantLayer asks for a directory of the driver.
func (s *Store) wantLayer(id model.LayerID) want {
	return want{
		kind:  db.TrashLayer,
		first: s.layerPath(string(id)),
		other: func() string { return s.layerPath(model.NewLayerDir(id)) },
	}
}

// wantFile asks for a content file.
func wantFile(first string) want {
	return want{kind: db.TrashFile, first: first, other: func() string { return content.OtherVersion(first) }}
}

// wantTarSplit asks for the file with a layer's tar-split.
func (s *Store) wantTarSplit(id model.LayerID) want {
	return wantFile(content.TarSplitPath(s.info.Driver, id))
}

// layerPath returns the path of a driver's directory.
func (s *Store) layerPath(dir string) string { return path.Join(s.info.Driver, dir) }

// pathKey is the key of the lock on a path.
func pathKey(name string) string { return "path:" + name }

// pathUsed tells whether a record or a trash entry stands for a path.
func (s *Store) pathUsed(ctx context.Context, kind db.TrashKind, name string) (used bool, err error) {
	err = s.viewOwn(ctx, func(own records) error {
		used, err = own.used(kind, name)
		return err
	})
	return used, err
}

// pathInTrash is inTrash in a transaction of its own.
func (s *Store) pathInTrash(ctx context.Context, name string) (found bool, err error) {
	err = s.viewOwn(ctx, func(own records) error {
		found, err = own.inTrash(name)
		return err
	})
	return found, err
}

// records are the databases that say what is in the directories of a store.
type records []*db.ReadTx

// used tells whether a record or a trash entry stands for a path. While nobody knows
// what has become of a transaction over several databases, one may stand for any.
func (own records) used(kind db.TrashKind, name string) (bool, error) {
	for _, tx := range own {
		undecided, err := tx.Prepared()
		if err != nil || len(undecided) > 0 {
			return true, err
		}
		if used, err := recorded(tx, kind, name); used || err != nil {
			return used, err
		}
	}
	return own.inTrash(name)
}

// inTrash tells whether a trash entry stands for a path, damaged or not.
func (own records) inTrash(name string) (bool, error) {
	for _, tx := range own {
		_, err := tx.Trash(name)
		if err == nil || errors.Is(err, model.ErrCorrupt) {
			return true, nil
		}
		if !errors.Is(err, model.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

// allTrash returns the entries of the trash that begin with a path.
func (own records) trashWith(prefix string) (all []db.Trash, err error) {
	for _, tx := range own {
		some, err := tx.TrashWith(prefix)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// recorded tells whether a record stands for the content at a path. A damaged
// record may: it can perhaps be mended.
func recorded(tx *db.ReadTx, kind db.TrashKind, name string) (found bool, err error) {
	switch kind {
	case db.TrashLayer:
		found, err = layerRecorded(tx, path.Base(name))
	case db.TrashTree:
		found, err = ownerRecorded(tx, name)
	case db.TrashFile:
		_, err = tx.FileOwner(name)
		found = err == nil
	default:
		return false, fmt.Errorf("%w: unknown kind of content %q", model.ErrInvalid, kind)
	}
	if errors.Is(err, model.ErrCorrupt) {
		return true, nil
	}
	return found, ignoreNotFound(err)
}

// layerRecorded tells whether a layer has the driver's directory dir.
func layerRecorded(tx *db.ReadTx, dir string) (bool, error) {
	id, err := model.ParseLayerDir(dir)
	if err != nil {
		return false, nil //nolint:nilerr // No layer has such a directory.
	}
	l, err := tx.Layer(id)
	return err == nil && l.Made && l.DriverDir() == dir, err
}

// ownerRecorded tells whether the object exists to which a directory
// <driver>-<kind>s/<id>/userdata belongs.
func ownerRecorded(tx *db.ReadTx, name string) (bool, error) {
	area, id, _ := strings.Cut(path.Dir(name), "/")
	for _, kind := range model.Kinds {
		if strings.HasSuffix(area, "-"+string(kind)+"s") {
			_, err := tx.Names(kind, id)
			return err == nil, err
		}
	}
	return false, nil
}

// removeContent removes what is at a path. The caller holds the lock on it.
func (s *Store) removeContent(ctx context.Context, kind db.TrashKind, name, dir string) error {
	switch kind {
	case db.TrashLayer:
		err := s.driver.Remove(ctx, dir)
		if errors.Is(err, model.ErrStoreIsReadOnly) {
			return nil // only another store has a directory of that name
		}
		return err
	case db.TrashFile:
		err := s.files.Remove(name)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
			// Somebody has put a directory of his own in the file's place.
			err = s.files.RemoveTree(ctx, name)
		}
		return err
	case db.TrashTree:
		return errors.Join(s.files.RemoveTree(ctx, name), s.removeRunTree(ctx, name))
	}
	return fmt.Errorf("%w: unknown kind of content %q", model.ErrInvalid, kind)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	return err
}
