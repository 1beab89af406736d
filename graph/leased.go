package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// Leases returns all leases, ordered by ID. Those that have expired are among
// them until somebody clears them away, see Lease.Expired. A store that is open
// read-only has those that its run root tells of, if it was given one. If some
// are damaged, it returns the others and an error that matches
// model.ErrCorrupt.
func (s *Store) Leases(ctx context.Context) (all []Lease, err error) {
	read := func(run *db.RunTx) (err error) {
		all, err = run.Leases()
		return err
	}
	if s.run != nil {
		return all, s.run.View(ctx, read)
	}
	if s.options.RunRoot == "" {
		return nil, nil
	}
	err = db.ExamineRun(ctx, s.options.RunRoot, s.info.UUID, read)
	_, single := errors.AsType[*db.RecordError](err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, model.ErrCorrupt) && !single {
		err = nil // whoever opens it for writing makes it anew
	}
	return all, err
}

// leased are the leases that count, by object; of each object that which
// expires last.
type leased map[model.ID]*Lease

// leasedOf returns a function that returns the leases which count. It reads them
// when it is first called: within a transaction that may delete something, so
// that none can be added afterwards, see changeLeases.
func (s *Store) leasedOf(ctx context.Context, now func() time.Time) func() (leased, error) {
	return sync.OnceValues(func() (leased, error) {
		all, err := s.Leases(ctx)
		if err != nil {
			// It may be about any object. `csdb lease remove` ends it.
			return nil, fmt.Errorf("nothing is deleted while a lease cannot be read: %w", err)
		}
		return leasedAt(all, now()), nil
	})
}

// leasedAt returns those of the leases that have not expired.
func leasedAt(all []Lease, now time.Time) leased {
	counts := make(leased)
	for i := range all {
		lease := &all[i]
		if lease.Expired(now) {
			continue
		}
		for _, o := range lease.Objects {
			id := model.NewID(o.Kind, o.ID)
			if other := counts[id]; other == nil || other.Expires.Before(lease.Expires) {
				counts[id] = lease
			}
		}
	}
	return counts
}

// leaseOn returns a lease on an object that has not expired, or nil.
func (tx *ReadTx) leaseOn(id model.ID) (*Lease, error) {
	counts, err := tx.leased()
	return counts[id], err
}

// unleased returns an error if an object exists and is leased.
func (tx *ReadTx) unleased(id model.ID) error {
	lease, err := tx.leaseOn(id)
	if err != nil || lease == nil {
		return err
	}
	if err := tx.exists(id); err != nil {
		return ignoreNotFound(err) // the deletion will say so
	}
	reason := ""
	if lease.Reason != "" {
		reason = fmt.Sprintf(" (%q)", lease.Reason)
	}
	return model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w by %q, process %d, until %s%s; `csdb lease remove %s` ends that",
		model.ErrLeased, lease.Command, lease.PID, lease.Expires.Format(time.RFC3339), reason, lease.ID))
}

// containerUnleased returns an error if a container or its layer is leased.
func (tx *ReadTx) containerUnleased(id model.ContainerID) error {
	counts, err := tx.leased()
	if err != nil || len(counts) == 0 {
		return err
	}
	if err := tx.unleased(id); err != nil {
		return err
	}
	c, err := tx.db.Container(id)
	if err != nil {
		return ignoreNotFound(err)
	}
	return model.OnObject(model.KindContainer, id, tx.unleased(c.Layer))
}

// endLeases ends all leases, for a transaction that deletes everything.
func (tx *Tx) endLeases(ctx context.Context) error {
	return tx.store.run.Update(ctx, func(run *db.RunTx) error { return run.RemoveLeases() })
}
