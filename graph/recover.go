package graph

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// Recovered is what Recover found and removed. The paths are relative to the
// root of the store, but whole in an image store.
type Recovered struct {
	Trash  []string // what was to be removed after a deletion
	Staged []string // what a process had begun when it died
	Strays []string // what nobody had noted
	Busy   []string // what somebody is still at; it stays
}

// Recover removes what crashes have left over: the content of deleted objects,
// what dead processes had begun, and everything else in the directories of the
// store that has no record. What the store refers to, and what living processes
// are making, is never touched; the comment on the type claim in this package
// says why. Mounts that have been counted and are not there are forgotten. It
// may run at any time, also beside others. It goes on after errors, and returns
// them all.
func (s *Store) Recover(ctx context.Context) (_ *Recovered, err error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	all := &Recovered{}
	for _, home := range s.homes() {
		r := &recovery{removed: func(string) {}}
		err = errors.Join(err, home.recover(ctx, r))
		all.add(home, &r.Recovered)
	}
	return all, err
}

// add adds what was found and removed in the directories of a store.
func (r *Recovered) add(home *Store, more *Recovered) {
	for _, paths := range []struct {
		to   *[]string
		more []string
	}{{&r.Trash, more.Trash}, {&r.Staged, more.Staged}, {&r.Strays, more.Strays}, {&r.Busy, more.Busy}} {
		for _, path := range paths.more {
			*paths.to = append(*paths.to, home.called(path))
		}
	}
}

// recovery is one that is under way.
type recovery struct {
	Recovered

	// removed is told of each path that is gone.
	removed func(path string)
}

func (s *Store) recover(ctx context.Context, r *recovery) error {
	return errors.Join(s.recoverTrash(ctx, r), s.recoverStaged(ctx, r), s.recoverStrays(ctx, r), s.recoverMounts(ctx))
}

// allTrash returns all that is in the trash.
func (s *Store) allTrash(ctx context.Context) (all []db.Trash, err error) {
	err = s.viewOwn(ctx, func(own records) error {
		for _, tx := range own {
			some, err := tx.AllTrash()
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
		return nil
	})
	return all, err
}

// recoverTrash removes everything in the trash.
func (s *Store) recoverTrash(ctx context.Context, r *recovery) error {
	trash, err := s.allTrash(ctx)
	var errReap error
	gone := make(map[string]bool, len(trash))
	for batch := range slices.Chunk(trash, reapBatch) {
		done, err := s.reap(ctx, batch, hastily)
		errReap = errors.Join(errReap, err)
		for _, t := range done {
			gone[t.Path] = true
			r.Trash = append(r.Trash, t.Path)
			r.removed(t.Path)
		}
	}
	for _, t := range trash {
		if !gone[t.Path] && errReap == nil {
			r.Busy = append(r.Busy, t.Path)
		}
	}
	return errors.Join(err, errReap)
}

// recoverStaged removes what was staged by processes that are dead.
func (s *Store) recoverStaged(ctx context.Context, r *recovery) error {
	var staged []db.Staged
	err := s.run.View(ctx, func(tx *db.RunTx) (err error) {
		staged, err = tx.Staged()
		return err
	})
	errs := []error{err}
	for _, e := range staged {
		outcome, err := s.removeStray(ctx, e)
		if err != nil {
			errs = append(errs, fmt.Errorf("staged content %s: %w", e.Path, err))
			continue
		}
		switch outcome {
		case strayRemoved:
			r.Staged = append(r.Staged, e.Path)
			r.removed(e.Path)
		case strayBusy:
			r.Busy = append(r.Busy, e.Path)
		case strayNeeded: // its author died before he could say that it is committed
		}
	}
	return errors.Join(errs...)
}

// outcome is what became of content that may be garbage.
type outcome int

const (
	strayNeeded  outcome = iota // a record or a trash entry stands for it
	strayRemoved                // it is gone
	strayBusy                   // somebody is at work there
)

// removeStray removes the content at a path if nothing stands for it and nobody
// is at work there, and the note that it has been staged, unless somebody is
// at work there.
func (s *Store) removeStray(ctx context.Context, e db.Staged) (outcome, error) {
	if err := context.Cause(ctx); err != nil {
		return strayNeeded, err
	}
	crashpoint.Hit(crashpoint.RecoverFound)
	lock, err := s.keys.TryLock(pathKey(e.Path), flock.Exclusive)
	if err != nil {
		return strayNeeded, err
	}
	if lock == nil {
		return strayBusy, nil
	}
	defer lock.Unlock()
	used, err := s.pathUsed(ctx, e.Kind, e.Path)
	if err != nil {
		return strayNeeded, err
	}
	became := strayNeeded
	if !used {
		became = strayRemoved
		if err := s.removeContent(ctx, e.Kind, e.Path, e.Dir); err != nil {
			return became, err
		}
	}
	crashpoint.Hit(crashpoint.RecoverRemoved)
	return became, s.run.Update(ctx, func(tx *db.RunTx) error { return tx.RemoveStaged(e.Path) })
}

// recoverStrays removes everything in the directories of the store that has no
// record.
func (s *Store) recoverStrays(ctx context.Context, r *recovery) error {
	strays, err := s.strays(ctx)
	errs := []error{err}
	for _, e := range strays {
		outcome, err := s.removeStray(ctx, e)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("content %s without record: %w", e.Path, err))
		case outcome == strayRemoved:
			r.Strays = append(r.Strays, e.Path)
			r.removed(e.Path)
		case outcome == strayBusy && !slices.Contains(r.Busy, e.Path):
			r.Busy = append(r.Busy, e.Path)
		}
	}
	return errors.Join(errs...)
}

// strays lists everything in the directories of the store for which neither a
// record nor a trash entry stands at this moment. What is being made is among
// it.
func (s *Store) strays(ctx context.Context) ([]db.Staged, error) {
	all, err := s.listContent(ctx)
	if err != nil {
		return nil, err
	}
	var strays []db.Staged
	err = s.viewOwn(ctx, func(own records) error {
		for _, e := range all {
			used, err := own.used(e.Kind, e.Path)
			if err != nil {
				return err
			}
			if !used {
				strays = append(strays, e)
			}
		}
		return nil
	})
	return strays, err
}

// listContent lists everything in the directories of the store.
func (s *Store) listContent(ctx context.Context) (all []db.Staged, err error) {
	dirs, err := s.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		all = append(all, db.Staged{Path: s.layerPath(dir), Kind: db.TrashLayer, Dir: dir})
	}
	list := func(files *content.Files) error {
		for _, kind := range model.Kinds {
			paths, err := files.List(ctx, content.Area(s.info.Driver, kind))
			if err != nil {
				return err
			}
			for _, name := range paths {
				e := db.Staged{Path: name, Kind: db.TrashFile}
				if path.Base(name) == content.UserDirName {
					e.Kind = db.TrashTree
				}
				all = append(all, e)
			}
		}
		return nil
	}
	if err := list(s.files); err != nil {
		return nil, err
	}
	// There are directories of objects only in the run root.
	return all, s.onRunFiles(list)
}

// recoverMounts forgets the mounts that have been noted and are not there any
// more: whoever unmounted them died before he could say so.
func (s *Store) recoverMounts(ctx context.Context) error {
	var noted []db.Mount
	err := s.run.View(ctx, func(tx *db.RunTx) (err error) {
		noted, err = tx.Mounts()
		return err
	})
	errs := []error{err}
	for _, m := range noted {
		if err := s.recoverMount(ctx, m.Layer); err != nil {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.Path, err))
		}
	}
	return errors.Join(errs...)
}

// recoverMount forgets the mount of a layer if it is not there, and nobody is
// mounting or unmounting it.
func (s *Store) recoverMount(ctx context.Context, id model.LayerID) error {
	lock, err := s.keys.TryLock(mountKey(id), flock.Exclusive)
	if err != nil || lock == nil {
		return err
	}
	held := &layerLock{}
	held.add(s, id, lock)
	defer held.unlock(ctx)
	hidden, err := s.isHidden(ctx, id)
	if err != nil || hidden {
		return err
	}
	var there *db.Mount
	l, home, err := s.layerAt(ctx, id)
	if err == nil {
		there, err = home.mountOf(ctx, l)
	}
	switch {
	case there != nil || errors.Is(err, model.ErrCorrupt): // what cannot be read can perhaps be mended
		return nil
	case ignoreNotFound(err) != nil:
		return err
	}
	return s.forgetMount(ctx, id)
}
