package graph

import (
	"errors"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// Relations are what a store notes about others.
type Relations struct {
	// Holds are what others need of it, ordered by kind, ID and store, and
	// Elsewhere is what it needs of others.
	Holds     []db.Hold
	Elsewhere []db.Elsewhere
	// Runs are the run roots in which it has, or had, volatile containers.
	Runs []db.RunRoot
}

// Relations returns what is noted about other stores in that in the graph root. If
// some of it is damaged, it returns the rest and an error that matches
// model.ErrCorrupt.
func (tx *ReadTx) Relations() (r Relations, err error) {
	main := tx.db.main.db
	var errs [3]error
	r.Holds, errs[0] = main.AllHolds()
	r.Elsewhere, errs[1] = main.AllElsewhere()
	r.Runs, errs[2] = main.Runs()
	return r, errors.Join(errs[:]...)
}

// HoldsOn returns what holds an object: other stores that need it and are not used
// together with this one.
func (tx *ReadTx) HoldsOn(id model.ID) (holds []db.Hold, err error) {
	at, err := tx.db.placeOf(id)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	all, err := at.db.Holds(id.Kind(), id.String())
	for _, h := range all {
		if h.Counts(at.home.boot) {
			holds = append(holds, h)
		}
	}
	return holds, err
}
