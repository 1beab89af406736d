package graph

import (
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// A record may refer to an object in another place: a container in the graph root
// to an image in the image store, a layer to a parent in a store that is only
// read. Two notes are made of that, by the same transaction. The place of the
// record notes where the object is, so that whoever looks at this database alone
// does not take it for lost. And the place of the object, if it can be written to,
// notes who needs it, so that whoever uses that store otherwise does not delete
// it: a hold.
//
// Volatile databases are always looked at together with that of the graph root,
// which therefore holds nothing for them.

// refer makes the notes about objects to which a record in a place refers, as far
// as they are in another one.
func (j *jointTx) refer(from *place, ids ...model.ID) error {
	for _, id := range ids {
		if id.String() == "" {
			continue
		}
		to, err := j.placeOf(id)
		if errors.Is(err, model.ErrNotFound) || err == nil && !apart(from, to) {
			continue
		}
		if err == nil {
			err = from.tx.SetElsewhere(db.Elsewhere{
				Kind: id.Kind(), ID: id.String(), Store: to.home.info.UUID, Root: to.home.options.Root,
			})
		}
		if err == nil && to.tx != nil {
			err = to.tx.AddHold(from.hold(id))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unrefer takes back the notes about objects to which nothing in a place refers
// any more.
func (j *jointTx) unrefer(from *place, ids ...model.ID) error {
	for _, id := range ids {
		if id.String() == "" {
			continue
		}
		if needed, err := from.db.IsReferred(id.Kind(), id.String()); err != nil || needed {
			if err != nil {
				return err
			}
			continue
		}
		if err := from.tx.RemoveElsewhere(id.Kind(), id.String()); err != nil {
			return err
		}
		for _, to := range j.own {
			if to.tx != nil && apart(from, to) {
				if err := to.tx.RemoveHold(id.Kind(), id.String(), from.uuid); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// apart tells whether a reference from one place to another has to be noted.
func apart(from, to *place) bool { return from.home != to.home }

// hold says that something in the place needs an object in another one.
func (p *place) hold(id model.ID) db.Hold {
	h := db.Hold{Kind: id.Kind(), ID: id.String(), Store: p.uuid, Root: p.home.options.Root}
	if p.role == roleVolatile || p.role == roleHidden {
		h.RunRoot, h.Boot = p.home.options.RunRoot, p.home.boot
	}
	return h
}

// heldBy returns a hold on an object by a store that takes no part in the
// transaction, or nil. Volatile containers in other run roots hold what they need.
func (j *joint) heldBy(id model.ID) (*db.Hold, error) {
	at, err := j.placeOf(id)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	for _, p := range j.otherRuns {
		if needed, err := p.db.IsReferred(id.Kind(), id.String()); err != nil || needed {
			return &db.Hold{Root: j.main.home.options.Root, RunRoot: p.run}, err
		}
	}
	holds, err := at.db.Holds(id.Kind(), id.String())
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		mine := slices.ContainsFunc(j.own, func(p *place) bool { return p.uuid == h.Store })
		if !mine && h.Counts(at.home.boot) {
			return &h, nil
		}
	}
	return nil, nil //nolint:nilnil // The comment says what nil means.
}

// unheld returns an error if another store needs an object.
func (j *joint) unheld(id model.ID) error {
	h, err := j.heldBy(id)
	if err != nil || h == nil {
		return err
	}
	where := h.Root
	if h.RunRoot != "" {
		where += " with run root " + h.RunRoot
	}
	return model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w: by the store %s", model.ErrHeld, where))
}

// held returns all objects that other stores need, with the layers below them.
func (tx *ReadTx) held() (map[model.ID]bool, error) {
	held := make(map[model.ID]bool)
	seen := make(map[model.LayerID]bool)
	for _, p := range tx.db.own {
		holds, err := p.db.AllHolds()
		if err != nil {
			return nil, err
		}
		for _, h := range holds {
			id := model.NewID(h.Kind, h.ID)
			if by, err := tx.db.heldBy(id); err != nil || by == nil {
				if err != nil {
					return nil, err
				}
				continue
			}
			held[id] = true
			if err := tx.below(id, seen); err != nil {
				return nil, err
			}
		}
	}
	for layer := range seen {
		held[layer] = true
	}
	return held, nil
}

// below adds the layers that an image or a layer needs to those that have been
// seen.
func (tx *ReadTx) below(id model.ID, seen map[model.LayerID]bool) error {
	tops := []model.LayerID{}
	switch id := id.(type) {
	case model.LayerID:
		tops = append(tops, id)
	case model.ImageID:
		image, err := tx.db.Image(id)
		if err != nil {
			return ignoreNotFound(err)
		}
		tops = image.TopLayers()
	}
	for _, top := range tops {
		if _, err := tx.chain(top, seen); err != nil {
			return err
		}
	}
	return nil
}
