package graph

import (
	"context"
	"errors"
	"slices"

	"github.com/csdb/csdb/db"
)

// member is a database that is part of a store.
type member struct {
	home *Store
	role role
	run  string // the run root, if that is another one
	db   *db.DB
}

// homes returns the store with those that it can make content in.
func (s *Store) homes() []*Store {
	if s.images == nil {
		return []*Store{s}
	}
	return []*Store{s, s.images}
}

// ownMembers returns the databases with records of content in the directories of
// the store, its own first.
func (s *Store) ownMembers(ctx context.Context) ([]member, error) {
	all := []member{{home: s, role: roleMain, db: s.db}}
	if s.owner.images == s {
		all[0].role = roleImages
	}
	for _, v := range s.volatiles {
		exists, err := v.exists()
		if err != nil {
			return nil, err
		}
		if !exists {
			continue
		}
		database, err := v.open(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, member{home: s, role: v.role, db: database})
	}
	return all, nil
}

// writtenMembers returns the databases that a transaction of the store may change.
func (s *Store) writtenMembers(ctx context.Context) ([]member, error) {
	own, err := s.ownMembers(ctx)
	if err != nil || s.images == nil {
		return own, err
	}
	images := member{home: s.images, role: roleImages, db: s.images.db}
	return append([]member{own[0], images}, own[1:]...), nil
}

// readMembers returns all databases of the store.
func (s *Store) readMembers(ctx context.Context) ([]member, error) {
	own, err := s.ownMembers(ctx)
	if err != nil {
		return nil, err
	}
	if s.images != nil {
		own = append([]member{own[0], {home: s.images, role: roleImages, db: s.images.db}}, own[1:]...)
	}
	return append(own, s.otherMembers()...), nil
}

// otherMembers returns the databases that are only read.
func (s *Store) otherMembers() (all []member) {
	for _, other := range s.additional {
		all = append(all, member{home: other, role: roleAdditional, db: other.db})
	}
	return all
}

func databases(members []member) []*db.DB {
	all := make([]*db.DB, len(members))
	for i, m := range members {
		all[i] = m.db
	}
	return all
}

// errMoreMembers is the error of a transaction for which a database is missing that
// was not there when it was about to begin.
var errMoreMembers = errors.New("a volatile database has been made")

// again runs do as long as databases are made while it waits for its turn.
func again(do func() error) error {
	for {
		if err := do(); !errors.Is(err, errMoreMembers) {
			return err
		}
	}
}

// viewJoint runs fn with one picture of all databases.
func (s *Store) viewJoint(ctx context.Context, fn func(*joint) error) error {
	return again(func() error {
		members, err := s.readMembers(ctx)
		if err != nil {
			return err
		}
		return db.ViewAll(ctx, databases(members), func(txs []*db.ReadTx) error {
			places, err := s.places(members, txs)
			if err != nil {
				return err
			}
			return fn(join(places))
		})
	})
}

// updateJoint runs fn with all databases and commits what it did, in all of them or
// in none.
func (s *Store) updateJoint(ctx context.Context, fn func(*jointTx) error) error {
	return again(func() error {
		written, err := s.writtenMembers(ctx)
		if err != nil {
			return err
		}
		runs, err := s.runMembers(ctx)
		if err != nil {
			return err
		}
		defer runs.close()
		read := slices.Concat(runs.members, s.otherMembers())
		return db.UpdateAll(ctx, databases(written), databases(read), func(txs []*db.Tx, readTxs []*db.ReadTx) error {
			all := make([]*db.ReadTx, len(txs))
			for i, tx := range txs {
				all[i] = &tx.ReadTx
			}
			places, err := s.places(slices.Concat(written, read), slices.Concat(all, readTxs))
			if err == nil {
				err = s.sameRuns(all[0], runs)
			}
			if err != nil {
				return err
			}
			for i, tx := range txs {
				places[i].tx = tx
			}
			return fn(&jointTx{join(places)})
		})
	})
}

// places returns what a transaction sees of the members.
func (s *Store) places(members []member, txs []*db.ReadTx) ([]*place, error) {
	if err := s.complete(members); err != nil {
		return nil, err
	}
	places := make([]*place, len(members))
	for i, m := range members {
		places[i] = &place{home: m.home, role: m.role, run: m.run, uuid: m.home.info.UUID, db: txs[i]}
		if m.role != roleVolatile && m.role != roleHidden {
			continue
		}
		info, err := txs[i].Info()
		if err != nil {
			return nil, err
		}
		places[i].uuid = info.UUID
	}
	return places, nil
}

// complete returns an error if a volatile database that is there is not among the
// members. The lock on that of the graph root is held, so that nothing can be put
// into one that is made from now on.
func (s *Store) complete(members []member) error {
	for _, v := range s.volatiles {
		there := false
		for _, m := range members {
			there = there || m.role == v.role
		}
		if there {
			continue
		}
		exists, err := v.exists()
		if err != nil {
			return err
		}
		if exists {
			return errMoreMembers
		}
	}
	return nil
}

// viewOwn runs fn with one picture of the databases that have records of content
// in the directories of the store, also of those in other run roots.
func (s *Store) viewOwn(ctx context.Context, fn func(records) error) error {
	return again(func() error {
		own, err := s.ownMembers(ctx)
		if err != nil {
			return err
		}
		runs, err := s.runMembers(ctx)
		if err != nil {
			return err
		}
		defer runs.close()
		return db.ViewAll(ctx, databases(slices.Concat(own, runs.members)), func(txs []*db.ReadTx) error {
			if err := errors.Join(s.complete(own), s.sameRuns(txs[0], runs)); err != nil {
				return err
			}
			return fn(txs)
		})
	})
}

// updateOwn runs fn with the databases of viewOwn that can be changed.
func (s *Store) updateOwn(ctx context.Context, fn func([]*db.Tx) error) error {
	own, err := s.ownMembers(ctx)
	if err != nil {
		return err
	}
	return db.UpdateAll(ctx, databases(own), nil, func(txs []*db.Tx, _ []*db.ReadTx) error { return fn(txs) })
}
