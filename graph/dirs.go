package graph

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Dir returns a directory in the graph root that belongs to whoever uses the
// object, an image or a container. It is made if it does not exist, and goes
// with the object.
func (s *Store) Dir(ctx context.Context, id model.ID) (string, error) {
	path := content.UserDir(s.info.Driver, id.Kind(), id.String())
	return s.makeUserDir(ctx, id, path, s.options.Root)
}

// RunDir returns a directory in the run root like Dir. It goes with the object,
// or at a reboot.
func (s *Store) RunDir(ctx context.Context, id model.ID) (string, error) {
	path := content.UserDir(s.info.Driver, id.Kind(), id.String())
	return s.makeUserDir(ctx, id, path, s.options.RunRoot)
}

func (s *Store) makeUserDir(ctx context.Context, id model.ID, path, root string) (string, error) {
	if err := s.writable(); err != nil {
		return "", err
	}
	// An object of this ID may have been deleted, and its directory be about
	// to be removed.
	var old []db.Trash
	err := s.View(ctx, func(tx *ReadTx) error {
		if _, err := tx.Names(id); err != nil {
			return err
		}
		t, err := tx.db.Trash(path)
		if err == nil {
			old = append(old, *t)
		}
		return ignoreNotFound(err)
	})
	if err != nil {
		return "", err
	}
	if done, err := s.reap(ctx, old); err != nil || len(done) < len(old) {
		return "", model.OnObject(id.Kind(), id.String(), fmt.Errorf("directory %s: %w: it is being removed", path, errors.Join(model.ErrBusy, err)))
	}
	lock, err := s.keys.Lock(ctx, pathKey(path), flock.Exclusive)
	if err != nil {
		return "", err
	}
	defer lock.Unlock()
	dir := filepath.Join(root, path)
	return dir, model.OnObject(id.Kind(), id.String(), fsutil.MakeDirs(dir, 0o700))
}
