package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// An object may have two directories for whoever uses it, one in the graph root
// and one in the run root. They have the same path in both, go by one trash
// entry, and share the lock on that path.

// Dir returns a directory in the graph root that belongs to whoever uses the
// object, an image or a container. It is made if it does not exist, and goes
// with the object.
func (s *Store) Dir(ctx context.Context, id model.ID) (string, error) {
	return s.makeUserDir(ctx, id, (*Store).Root)
}

// RunDir returns a directory in the run root like Dir. It goes with the object,
// or at a reboot.
func (s *Store) RunDir(ctx context.Context, id model.ID) (string, error) {
	return s.makeUserDir(ctx, id, (*Store).RunRoot)
}

func (s *Store) makeUserDir(ctx context.Context, id model.ID, at func(*Store) string) (string, error) {
	if id.Kind() == model.KindLayer {
		return "", model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w: layers have no directories for others", model.ErrInvalid))
	}
	s, err := s.homeToChange(ctx, id)
	if err != nil {
		return "", err
	}
	root := at(s)
	path := content.UserDir(s.info.Driver, id.Kind(), id.String())
	for {
		old, err := view(ctx, s, func(tx *ReadTx) ([]db.Trash, error) { return tx.userDirTrash(id, path) })
		if err != nil {
			return "", err
		}
		if len(old) == 0 {
			dir := filepath.Join(root, path)
			if info, err := os.Lstat(dir); err == nil && info.IsDir() {
				return dir, nil
			}
			made, err := s.makeTree(ctx, id, path, dir)
			if made || err != nil {
				return dir, model.OnObject(id.Kind(), id.String(), err)
			}
			continue
		}
		// An object of this ID has been deleted, and its directory remains.
		if done, err := s.reap(ctx, old, patiently); len(done) == 0 && err != nil {
			return "", model.OnObject(id.Kind(), id.String(), err)
		}
	}
}

// makeTree makes the directory dir, which belongs to an object and has the
// given path. It returns false if the object has been deleted meanwhile and
// another one has its ID.
func (s *Store) makeTree(ctx context.Context, id model.ID, path, dir string) (made bool, err error) {
	lock, err := s.keys.Lock(ctx, pathKey(path), flock.Exclusive)
	if err != nil {
		return false, err
	}
	defer lock.Unlock()
	if err := fsutil.MakeDirs(dir, 0o700); err != nil {
		return false, err
	}
	crashpoint.Hit(crashpoint.DirMade)
	// Whoever deleted the object before the directory was there knows nothing
	// of it; whoever does so from now on will find it. A view would not wait for
	// a goroutine that has looked already and is about to commit.
	old, err := update(ctx, s, func(tx *Tx) ([]db.Trash, error) { return tx.userDirTrash(id, path) })
	if err != nil {
		return false, errors.Join(err, s.removeContent(context.WithoutCancel(ctx), db.TrashTree, path, ""))
	}
	return len(old) == 0, nil
}

// userDirTrash returns the trash entry for the directories of an object, if
// there is one, or an error if the object does not exist.
func (tx *ReadTx) userDirTrash(id model.ID, path string) (old []db.Trash, err error) {
	at, err := tx.db.placeOf(id)
	if err != nil {
		return nil, err
	}
	for _, p := range tx.db.own {
		if p.home != at.home {
			continue
		}
		t, err := p.db.Trash(path)
		if err == nil {
			old = append(old, *t)
		}
		if ignoreNotFound(err) != nil {
			return nil, err
		}
	}
	return old, nil
}

// trashUserDir notes that the directories of an object go, if it has any.
func (tx *Tx) trashUserDir(p *place, id model.ID) error {
	s := p.home
	path := content.UserDir(s.info.Driver, id.Kind(), id.String())
	inRoot, err := s.files.Exists(path)
	if err != nil {
		return err
	}
	inRun := false
	if !inRoot {
		if inRun, err = s.hasRunTree(path); err != nil {
			return err
		}
	}
	if !inRoot && !inRun {
		return nil
	}
	return tx.addTrash(p, db.Trash{Path: path, Kind: db.TrashTree, ObjectKind: id.Kind(), ID: id.String()})
}

// onRunFiles calls fn with what is in the run root, unless that has been
// removed: a run root may be cleaned while the store is in use.
func (s *Store) onRunFiles(fn func(*content.Files) error) (err error) {
	files, err := content.Open(s.options.RunRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run %w", err)
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	return fn(files)
}

// hasRunTree tells whether there is a directory in the run root.
func (s *Store) hasRunTree(path string) (exists bool, err error) {
	err = s.onRunFiles(func(files *content.Files) error {
		exists, err = files.Exists(path)
		return err
	})
	return exists, err
}

// removeRunTree removes a directory in the run root.
func (s *Store) removeRunTree(ctx context.Context, path string) error {
	return s.onRunFiles(func(files *content.Files) error { return files.RemoveTree(ctx, path) })
}
