package graph

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// Lease keeps objects from being deleted, by anyone, until it expires. It is
// for whoever is about to use objects that nothing refers to yet. A lease ends
// at the latest when the machine is booted again, and nothing else ends it
// early but RemoveLease, Wipe, and the removal of the run root: what shall stay
// for good gets a name, or is used by something.
//
// The content of a leased layer needs its ancestors, which cannot be deleted
// before it, and a leased image needs its layers in the same way. Only
// Tx.Delete asks no more than whether the very object is leased.
type Lease = db.Lease

// LeaseSpec says what a new lease shall be.
type LeaseSpec struct {
	// ID is the lease's ID; one is generated if it is empty.
	ID string
	// Objects are what it is about: at least one, at most MaxLeaseObjects.
	Objects []model.ID
	// Reason says for people what the objects are kept for. It may have
	// MaxLeaseReason bytes, all of which must be fit to be printed.
	Reason string
	// For is how long the lease lasts unless it is removed before, at most
	// MaxLease; 0 means DefaultLease.
	For time.Duration
}

const (
	// DefaultLease is how long a lease lasts about which nothing is said.
	DefaultLease = 24 * time.Hour
	// MaxLease is the longest that a lease can last from now on.
	MaxLease = 365 * 24 * time.Hour
	// MaxLeaseObjects is how many objects one lease may be about.
	MaxLeaseObjects = 10_000
	// MaxLeaseReason is the greatest length of a reason in bytes.
	MaxLeaseReason = 1024
)

// AddLease leases objects. If it succeeds they are there, and stay, whatever
// other processes were about to do. The error matches model.ErrLeaseExists if
// the ID is that of a lease which has not expired, model.ErrNotFound if there
// is no such object, and model.ErrInvalid if the specification makes no sense.
func (s *Store) AddLease(ctx context.Context, spec LeaseSpec) (*Lease, error) {
	if spec.ID == "" {
		spec.ID = model.NewLeaseID()
	}
	lease, err := spec.lease()
	if err != nil {
		return nil, err
	}
	err = s.changeLeases(ctx, func(tx *Tx, run *db.RunTx) error {
		taken, err := run.HasLease(lease.ID)
		if err == nil && taken {
			err = model.ErrLeaseExists
		}
		if err != nil {
			return leaseError(lease.ID, err)
		}
		lease.Since = tx.db.Now().Round(0) // what is stored has no monotonic clock
		lease.Expires = lease.Since.Add(spec.length())
		return tx.putLease(run, lease)
	})
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// ExtendLease makes a lease that has not expired last for the given time from
// now on, which may be shorter than it would have been; 0 means DefaultLease.
// The error matches model.ErrLeaseUnknown if there is no such lease any more.
func (s *Store) ExtendLease(ctx context.Context, id string, length time.Duration) (lease *Lease, err error) {
	spec := LeaseSpec{For: length}
	if err := spec.validateLength(); err != nil {
		return nil, err
	}
	err = s.changeLeases(ctx, func(tx *Tx, run *db.RunTx) error {
		if lease, err = run.Lease(id); err == nil && lease == nil {
			err = model.ErrLeaseUnknown
		}
		if err != nil {
			return leaseError(id, err)
		}
		lease.Expires = tx.db.Now().Round(0).Add(spec.length())
		return tx.putLease(run, lease)
	})
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// RemoveLease ends a lease, expired or not. The error matches
// model.ErrLeaseUnknown if there is none with that ID.
func (s *Store) RemoveLease(ctx context.Context, id string) error {
	if err := s.writable(); err != nil {
		return err
	}
	return s.run.Update(ctx, func(run *db.RunTx) error {
		known, err := run.HasLease(id)
		if err == nil && !known {
			err = model.ErrLeaseUnknown
		}
		if err == nil {
			err = run.RemoveLease(id)
		}
		if err != nil {
			return leaseError(id, err)
		}
		_, err = dropExpired(run, s.options.Now().UTC())
		return err
	})
}

// changeLeases runs fn with both databases, when the leases that have expired
// are gone. Nobody can delete anything meanwhile: who has begun to has
// committed, so that fn does not see the object any more, and who begins
// afterwards sees the lease.
func (s *Store) changeLeases(ctx context.Context, fn func(*Tx, *db.RunTx) error) error {
	return s.Update(ctx, func(tx *Tx) error {
		return s.run.Update(ctx, func(run *db.RunTx) error {
			if _, err := dropExpired(run, tx.db.Now()); err != nil {
				return err
			}
			return fn(tx, run)
		})
	})
}

// dropExpired removes the leases that have expired, and returns their IDs. One
// that cannot be read stays: perhaps it has not.
func dropExpired(run *db.RunTx, now time.Time) (gone []string, err error) {
	all, err := run.Leases()
	if err != nil && !errors.Is(err, model.ErrCorrupt) {
		return nil, err
	}
	for i := range all {
		if all[i].Expired(now) {
			if err := run.RemoveLease(all[i].ID); err != nil {
				return nil, err
			}
			gone = append(gone, all[i].ID)
		}
	}
	return gone, nil
}

// putLease stores a lease if its objects are there.
func (tx *Tx) putLease(run *db.RunTx, lease *Lease) error {
	for _, o := range lease.Objects {
		if err := tx.exists(model.NewID(o.Kind, o.ID)); err != nil {
			return leaseError(lease.ID, err)
		}
	}
	return run.PutLease(*lease)
}

// exists returns an error if an object does not exist.
func (tx *ReadTx) exists(id model.ID) (err error) {
	switch id := id.(type) {
	case model.LayerID:
		_, err = tx.db.Layer(id)
	case model.ImageID:
		_, err = tx.db.Image(id)
	case model.ContainerID:
		_, err = tx.db.Container(id)
	}
	return err
}

func leaseError(id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lease %q: %w", id, err)
}

// lease returns the lease without its times.
func (spec *LeaseSpec) lease() (*Lease, error) {
	if err := errors.Join(model.ValidateLeaseID(spec.ID), spec.validate(), spec.validateLength()); err != nil {
		return nil, err
	}
	lease := &Lease{ID: spec.ID, Reason: spec.Reason, PID: os.Getpid(), Command: filepath.Base(os.Args[0])}
	seen := make(map[model.ID]bool, len(spec.Objects))
	for _, id := range spec.Objects {
		if !seen[id] {
			seen[id] = true
			lease.Objects = append(lease.Objects, db.LeasedObject{Kind: id.Kind(), ID: id.String()})
		}
	}
	return lease, nil
}

// validate returns an error if objects or reason make no sense.
func (spec *LeaseSpec) validate() error {
	problem := ""
	switch n := len(spec.Objects); {
	case n == 0:
		problem = "it is about no object"
	case n > MaxLeaseObjects:
		problem = fmt.Sprintf("it is about %d objects, and %d is the most", n, MaxLeaseObjects)
	case len(spec.Reason) > MaxLeaseReason:
		problem = fmt.Sprintf("its reason is longer than %d bytes", MaxLeaseReason)
	case strings.ContainsFunc(spec.Reason, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }):
		problem = fmt.Sprintf("its reason %q cannot be printed", spec.Reason)
	}
	if problem != "" {
		return leaseError(spec.ID, fmt.Errorf("%w: %s", model.ErrInvalid, problem))
	}
	return nil
}

// validateLength returns an error if the length makes no sense.
func (spec *LeaseSpec) validateLength() error {
	if spec.For < 0 || spec.For > MaxLease {
		return fmt.Errorf("%w: a lease for %v; it can be for up to %v", model.ErrInvalid, spec.For, MaxLease)
	}
	return nil
}

func (spec *LeaseSpec) length() time.Duration {
	if spec.For == 0 {
		return DefaultLease
	}
	return spec.For
}
