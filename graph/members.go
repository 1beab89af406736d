package graph

import (
	"context"

	"github.com/csdb/csdb/db"
)

// member is a database that is part of a store.
type member struct {
	home *Store
	role role
	db   *db.DB
}

// members returns the databases of a store, its own first.
func (s *Store) members() []member {
	all := []member{{s, roleMain, s.db}}
	if s.images != nil {
		all = append(all, member{s.images, roleImages, s.images.db})
	}
	for _, other := range s.additional {
		all = append(all, member{other, roleAdditional, other.db})
	}
	return all
}

// homes returns the store with those that it can make content in.
func (s *Store) homes() []*Store {
	if s.images == nil {
		return []*Store{s}
	}
	return []*Store{s, s.images}
}

// viewJoint runs fn with one picture of all databases.
func (s *Store) viewJoint(ctx context.Context, fn func(*joint) error) error {
	return s.viewRest(ctx, s.members(), nil, func(places []*place) error { return fn(join(places)) })
}

func (s *Store) viewRest(ctx context.Context, rest []member, places []*place, fn func([]*place) error) error {
	if len(rest) == 0 {
		return fn(places)
	}
	m := rest[0]
	return m.db.View(ctx, func(tx *db.ReadTx) error {
		return s.viewRest(ctx, rest[1:], append(places, &place{home: m.home, role: m.role, uuid: m.home.info.UUID, db: tx}), fn)
	})
}

// updateJoint runs fn with all databases and commits what it did.
func (s *Store) updateJoint(ctx context.Context, fn func(*jointTx) error) error {
	return s.db.Update(ctx, func(tx *db.Tx) error {
		places := []*place{{home: s, role: roleMain, uuid: s.info.UUID, db: &tx.ReadTx, tx: tx}}
		return s.viewRest(ctx, s.members()[1:], places, func(places []*place) error { return fn(&jointTx{join(places)}) })
	})
}

// viewOwn runs fn with one picture of the databases that have records of content
// in the directories of s.
func (s *Store) viewOwn(ctx context.Context, fn func(records) error) error {
	return s.db.View(ctx, func(tx *db.ReadTx) error { return fn(records{tx}) })
}

// updateOwn is viewOwn with a transaction that can write.
func (s *Store) updateOwn(ctx context.Context, fn func([]*db.Tx) error) error {
	return s.db.Update(ctx, func(tx *db.Tx) error { return fn([]*db.Tx{tx}) })
}
