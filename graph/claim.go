package graph

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// A claim is the right to make content at a path. As long as it is held a lock
// on the path tells everybody that somebody is at work there; it goes with the
// process. The run database has an entry for it, so that what a process leaves
// over when it dies can be found without searching.
//
// Content at a path without a claim, a record or a trash entry is garbage.
//
// # Why nothing is removed that is needed, and nothing is forgotten
//
// Four rules hold for each path. To look means to ask the database.
//
//  1. Content is made only by who took the lock on the path, then looked, and
//     saw neither a record nor a trash entry for it: that is a claim.
//  2. A record for the path is committed only by who holds the claim, and the
//     lock is given up after the commit.
//  3. Content is removed only by who holds the claim and has committed nothing
//     with it (discard), by who took the lock, then looked, and saw a trash
//     entry (reap), or by who took the lock, then looked, and saw neither
//     record nor entry (Recover).
//  4. A trash entry is made by the commit that takes the record away, and
//     removed under the lock, when the content is gone.
//
// So what has a record is never removed: a reaper saw the entry, and record and
// entry exclude each other until somebody commits a new record, for which he
// would have to hold the lock that the reaper holds (2). The same lock keeps a
// record from appearing while Recover removes what it found without one. And
// nobody makes content where somebody is about to remove some, because of the
// entry (1) until the content is gone and the entry too (4).
//
// Whatever the instant at which a process dies, its locks go with it, and what
// it leaves is one of these: content without record or entry, which Recover
// finds by the note in the run database or by listing the directories; a note
// about content that is recorded, or that does not exist, which Recover drops;
// an entry whose content is gone in part or altogether, which anyone reaps
// again. Removing is idempotent, so it does not matter how far it came. A
// commit whose outcome is unknown keeps the lock until the store is closed;
// from then on the path is like that of a process that died.
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
	crashpoint.Hit(crashpoint.ClaimLocked)
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
			if w.unread && name != w.first {
				used, err = s.pathInTrash(ctx, name)
			}
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

func (s *Store) newClaim(kind db.TrashKind, name string, lock *flock.KeyLock) *claim {
	c := &claim{store: s, lock: lock, entry: db.Staged{
		Path: name, Kind: kind, PID: os.Getpid(), Command: filepath.Base(os.Args[0]), Since: time.Now().UTC(),
	}}
	if kind == db.TrashLayer {
		c.entry.Dir = path.Base(name)
	}
	return c
}

// settle sets what has become of the content.
func (c *claim) settle(state claimState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = state
}

// inStore tells whether the content is part of the store, or of a transaction
// that runs.
func (c *claim) inStore() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == claimInTx || c.state == claimCommitted
}

// enter makes the content part of a transaction.
func (c *claim) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != claimStaged {
		return fmt.Errorf("staged content %s: %w: it has been committed or discarded", c.entry.Path, model.ErrInvalid)
	}
	c.state = claimInTx
	return nil
}

// take makes staged content part of the transaction, together with the record
// that refers to it. If that fails the content is as before: whoever goes on
// after the error can use it otherwise, or discard it.
func (tx *Tx) take(claims []*claim, record func() error) (err error) {
	taken := tx.claims
	defer func() {
		if err != nil {
			for _, c := range tx.claims[len(taken):] {
				c.settle(claimStaged)
			}
			tx.claims = taken
		}
	}()
	for _, c := range claims {
		if err := c.enter(); err != nil {
			return err
		}
		tx.claims = append(tx.claims, c)
	}
	return record()
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
	crashpoint.Hit(crashpoint.ReleaseNoted)
	for _, c := range claims {
		c.lock.Unlock()
	}
	return err
}

// discard removes the content, unless it has become part of the store or may
// have. It is what follows when a context has ended, and so does not end with
// one.
func (c *claim) discard(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
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
	crashpoint.Hit(crashpoint.DiscardRemoved)
	return c.store.release(ctx, []*claim{c}, claimDiscarded)
}
