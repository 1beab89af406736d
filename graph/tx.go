package graph

import (
	"context"
	"errors"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/model"
)

// ReadTx is one consistent picture of a store. It is valid only inside the
// function that it is given to. What its methods return are copies.
//
// Where a method takes a reference to an object, that is its ID, or one of its
// names, or, for a container, the ID of its layer, or the beginning of an ID
// that fits no other one.
type ReadTx struct {
	db    *joint
	store *Store
	// leased returns the leases that count, see Store.leasedOf.
	leased func() (leased, error)
}

// Tx is a transaction: what its methods do takes effect all at once when its
// function has returned nil, or not at all. It is valid only inside that
// function, and must not be kept waiting in it: everybody else who wants to
// change the store waits too. So it changes records only. Content is staged
// before (StageLayer, StageData); what a deletion leaves over is removed after
// the commit.
//
// A method that refuses what it is asked (because a name is taken, an object
// is in use or does not exist) has changed nothing, so the function may go on
// and try something else.
type Tx struct {
	ReadTx

	db  *jointTx
	ctx context.Context //nolint:containedctx // It lives as long as the transaction.
	// claims are those of staged objects that became part of the store.
	claims []*claim
	// trash is the content that is to be removed, by who has it.
	trash map[*Store][]db.Trash
	// then is done after the commit.
	then []func(context.Context) error
}

// Bucket is a bucket of an embedding program.
type Bucket = db.Bucket

// ReadBucket is a bucket of an embedding program that can only be read.
type ReadBucket = db.ReadBucket

// View runs fn with a consistent picture of the store. fn must not call
// methods of the store: a transaction inside another one fails with
// model.ErrNested.
func (s *Store) View(ctx context.Context, fn func(*ReadTx) error) error {
	s = s.owner
	defer s.beginView()(ctx)
	return s.viewJoint(ctx, func(j *joint) error {
		return fn(&ReadTx{db: j, store: s, leased: s.leasedOf(ctx, s.options.Now)})
	})
}

// Update runs fn in a transaction and commits what it did if it returns nil.
// fn must be quick, and must not call methods of the store: a transaction
// inside another one fails with model.ErrNested.
//
// If fn returns an error because it was about to create the first volatile container
// since the machine was booted, and there was no database for such containers yet,
// one is made, and fn is run once more; nothing that it did before has taken effect.
//
// If the error matches db.IsUnknown, nobody knows whether the commit took
// effect. Content that was staged is then kept until the store is closed and
// Recover finds out.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	s = s.owner
	if err := s.writable(); err != nil {
		return err
	}
	err := s.updateOnce(ctx, fn)
	if !errors.Is(err, errNeedsVolatile) {
		return err
	}
	if err := s.makeVolatile(ctx); err != nil {
		return err
	}
	return s.updateOnce(ctx, fn)
}

// updateOnce is Update without a second attempt.
func (s *Store) updateOnce(ctx context.Context, fn func(*Tx) error) error {
	tx := &Tx{ctx: ctx, trash: make(map[*Store][]db.Trash)}
	became := claimStaged // again, also if fn panics
	defer func() {
		for _, c := range tx.claims {
			c.settle(became)
		}
	}()
	err := s.updateJoint(ctx, func(j *jointTx) error {
		tx.ReadTx, tx.db = ReadTx{db: j.joint, store: s, leased: s.leasedOf(ctx, s.options.Now)}, j
		if err := fn(tx); err != nil {
			return err
		}
		crashpoint.Hit(crashpoint.CommitBefore)
		return nil
	})
	if db.IsUnknown(err) {
		became = claimUnknown
	}
	if err != nil {
		return err
	}
	became = claimCommitted
	crashpoint.Hit(crashpoint.CommitAfter)
	s.follow(ctx, tx)
	return nil
}

// follow does what follows a commit. It cannot fail any more: what does not
// work out is left to Recover, and logged.
func (s *Store) follow(ctx context.Context, tx *Tx) {
	// The commit stands, whether or not the caller still waits.
	ctx = context.WithoutCancel(ctx)
	claims := make(map[*Store][]*claim) // what was staged may have been so with another handle
	for _, c := range tx.claims {
		claims[c.store] = append(claims[c.store], c)
	}
	var err error
	for home, mine := range claims {
		err = errors.Join(err, home.release(ctx, mine, claimCommitted))
	}
	for _, then := range tx.then {
		err = errors.Join(err, then(ctx))
	}
	for _, home := range s.homes() {
		_, errReap := home.reap(ctx, tx.trash[home], patiently)
		err = errors.Join(err, errReap)
	}
	s.logLeft(err)
}

// logLeft logs what did not work out behind a commit.
func (s *Store) logLeft(err error) {
	if err != nil {
		s.options.Log.WithError(err).Warn("after a commit; `csdb gc` will clean up")
	}
}

// Bucket returns the bucket of the embedding program with the given name.
func (tx *ReadTx) Bucket(name string) *ReadBucket { return tx.db.main.db.App(name) }

// Bucket returns the bucket of the embedding program with the given name,
// which should be one that nobody else will choose, such as
// "com.example.engine". It is made if it does not exist. What is put into it
// is committed with everything else that the transaction does.
func (tx *Tx) Bucket(name string) *Bucket { return tx.db.main.tx.App(name) }

// discardContent notes that a content file of a place is to be removed after the
// commit.
func (tx *Tx) discardContent(p *place, c *model.Content, id model.ID) error {
	if c == nil {
		return nil
	}
	return tx.addTrash(p, db.Trash{Path: c.Path, Kind: db.TrashFile, ObjectKind: id.Kind(), ID: id.String()})
}

// addTrash notes content of a place that is to be removed after the commit.
func (tx *Tx) addTrash(p *place, t db.Trash) error {
	if err := p.tx.AddTrash(t); err != nil {
		return err
	}
	tx.trash[p.home] = append(tx.trash[p.home], t)
	return nil
}
