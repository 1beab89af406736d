package graph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// A claim is the right to make content at a path. As long as it is held a lock
// on the path tells everybody that somebody is at work there; it goes with the
// process. The run database has an entry for it, so that what a process leaves
// over when it dies can be found without searching.
//
// Content at a path without a claim, a record or a trash entry is garbage.
type claim struct {
	store *Store
	entry db.Staged
	lock  *flock.KeyLock

	mu    sync.Mutex
	state claimState
}

type claimState int

const (
	claimStaged    claimState = iota // the content is being made, or waits for a commit
	claimInTx                        // a transaction that runs refers to it
	claimCommitted                   // it is part of the store
	claimUnknown                     // a commit failed, and nobody knows
	claimDiscarded                   // it has been removed
)

// want says for what a claim is wanted.
type want struct {
	kind db.TrashKind
	// first is the path to be had if it is free; other gives another one, a
	// different one each time.
	first string
	other func() string
}

// wantLayer asks for a directory of the driver.
func (s *Store) wantLayer(id model.LayerID) want {
	return want{
		kind:  db.TrashLayer,
		first: s.layerPath(string(id)),
		other: func() string { return s.layerPath(model.NewLayerDir(id)) },
	}
}

// layerPath returns the path of a driver's directory within the store.
func (s *Store) layerPath(dir string) string { return path.Join(s.info.Driver, dir) }

// claim claims a path for each want, and notes them as staged.
func (s *Store) claim(ctx context.Context, wants ...want) (claims []*claim, err error) {
	defer func() {
		if err != nil {
			for _, c := range claims {
				c.lock.Unlock()
			}
			claims = nil
		}
	}()
	for _, w := range wants {
		c, err := s.claimOne(ctx, w)
		if err != nil {
			return claims, err
		}
		claims = append(claims, c)
	}
	err = s.run.Update(ctx, func(tx *db.RunTx) error {
		for _, c := range claims {
			if err := tx.AddStaged(c.entry); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return claims, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staged == nil {
		return claims, model.ErrClosed
	}
	for _, c := range claims {
		s.staged[c] = true
	}
	return claims, nil
}

// maxClaims bounds the attempts to find a free path. All but the first are
// random, so that one more is hardly ever needed.
const maxClaims = 16

// claimOne locks a path that nothing else is at, was at and has not been
// removed from, or is being made at.
func (s *Store) claimOne(ctx context.Context, w want) (*claim, error) {
	name := w.first
	for range maxClaims {
		lock, err := s.keys.TryLock(pathKey(name), flock.Exclusive)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			used, err := s.pathUsed(ctx, w.kind, name)
			if err == nil && !used {
				return s.newClaim(w.kind, name, lock), nil
			}
			lock.Unlock()
			if err != nil {
				return nil, err
			}
		}
		name = w.other()
	}
	return nil, fmt.Errorf("path %s: %w: no free name beside it", w.first, model.ErrBusy)
}

// pathKey is the key of the lock on a path.
func pathKey(name string) string { return "path:" + name }

func (s *Store) newClaim(kind db.TrashKind, name string, lock *flock.KeyLock) *claim {
	c := &claim{store: s, lock: lock, entry: db.Staged{
		Path: name, Kind: kind, PID: os.Getpid(), Command: filepath.Base(os.Args[0]), Since: time.Now().UTC(),
	}}
	if kind == db.TrashLayer {
		c.entry.Dir = path.Base(name)
	}
	return c
}

// pathUsed tells whether a record or a trash entry stands for a path.
func (s *Store) pathUsed(ctx context.Context, kind db.TrashKind, name string) (used bool, err error) {
	err = s.db.View(ctx, func(tx *db.ReadTx) error {
		used, err = recorded(tx, kind, name)
		if used || err != nil {
			return err
		}
		_, err := tx.Trash(name)
		used = err == nil
		return ignoreNotFound(err)
	})
	return used, err
}

// recorded tells whether a record stands for the content at a path.
func recorded(tx *db.ReadTx, kind db.TrashKind, name string) (bool, error) {
	switch kind {
	case db.TrashLayer:
		dir := path.Base(name)
		id, err := model.ParseLayerDir(dir)
		if err != nil {
			return false, nil //nolint:nilerr // No layer has such a directory.
		}
		l, err := tx.Layer(id)
		if errors.Is(err, model.ErrCorrupt) {
			return true, nil // a damaged record may be mended
		}
		return err == nil && l.Made && l.DriverDir() == dir, ignoreNotFound(err)
	case db.TrashTree:
		// <driver>-<kind>s/<id>/userdata
		area, id, _ := strings.Cut(path.Dir(name), "/")
		for _, kind := range model.Kinds {
			if strings.HasSuffix(area, "-"+string(kind)+"s") {
				_, err := tx.Names(kind, id)
				return err == nil || errors.Is(err, model.ErrCorrupt), ignoreNotFound(ignoreCorrupt(err))
			}
		}
		return false, nil
	case db.TrashFile:
		_, err := tx.FileOwner(name)
		return err == nil || errors.Is(err, model.ErrCorrupt), ignoreNotFound(ignoreCorrupt(err))
	}
	return false, fmt.Errorf("%w: unknown kind of content %q", model.ErrInvalid, kind)
}

// settle sets what has become of the content.
func (c *claim) settle(state claimState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = state
}

// enter makes the content part of a transaction.
func (tx *Tx) enter(claims ...*claim) error {
	for _, c := range claims {
		c.mu.Lock()
		state := c.state
		if state == claimStaged {
			c.state = claimInTx
		}
		c.mu.Unlock()
		if state != claimStaged {
			return fmt.Errorf("staged content %s: %w: it has been committed or discarded", c.entry.Path, model.ErrInvalid)
		}
		tx.claims = append(tx.claims, c)
	}
	return nil
}

// release ends claims whose content is part of the store, or gone.
func (s *Store) release(ctx context.Context, claims []*claim, state claimState) error {
	if len(claims) == 0 {
		return nil
	}
	paths := make([]string, len(claims))
	s.mu.Lock()
	for i, c := range claims {
		c.settle(state)
		paths[i] = c.entry.Path
		delete(s.staged, c)
	}
	s.mu.Unlock()
	err := s.run.Update(ctx, func(tx *db.RunTx) error { return tx.RemoveStaged(paths...) })
	for _, c := range claims {
		c.lock.Unlock()
	}
	return err
}

// discard removes the content, unless it has become part of the store or may
// have.
func (c *claim) discard(ctx context.Context) error {
	c.mu.Lock()
	if c.state != claimStaged {
		c.mu.Unlock()
		return nil
	}
	c.state = claimDiscarded
	c.mu.Unlock()
	if err := c.store.removeContent(ctx, c.entry.Kind, c.entry.Path, c.entry.Dir); err != nil {
		// The entry stays, and tells Recover; the lock must not keep it out.
		c.lock.Unlock()
		return fmt.Errorf("staged content %s: %w", c.entry.Path, err)
	}
	return c.store.release(ctx, []*claim{c}, claimDiscarded)
}

// removeContent removes what is at a path. The caller holds the lock on it.
func (s *Store) removeContent(ctx context.Context, kind db.TrashKind, name, dir string) error {
	switch kind {
	case db.TrashLayer:
		return s.driver.Remove(ctx, dir)
	case db.TrashFile:
		return s.files.Remove(name)
	case db.TrashTree:
		return s.files.RemoveTree(ctx, name)
	}
	return fmt.Errorf("%w: unknown kind of content %q", model.ErrInvalid, kind)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	return err
}

func ignoreCorrupt(err error) error {
	if errors.Is(err, model.ErrCorrupt) {
		return nil
	}
	return err
}
