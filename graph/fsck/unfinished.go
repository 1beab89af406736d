package fsck

import (
	"context"
	"slices"
	"time"
)

// settleTime is how long it takes, with much to spare, until whoever has just
// committed a deletion has the lock on what he deletes, or whoever has just
// unmounted something has noted it.
const settleTime = 500 * time.Millisecond

// checkUnfinished lists what somebody has left half done: content that is to be
// removed, and mounts and leases that are noted without what they are about. For an instant the same is
// to be seen of what somebody is about to finish; so whatever is found is looked
// at once more.
func (s *store) checkUnfinished(ctx context.Context) error {
	unfinished, err := s.unfinished(ctx)
	if err != nil || len(unfinished) == 0 {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settleTime):
	}
	if err := s.readRun(ctx); err != nil {
		return err
	}
	if unfinished, err = s.unfinished(ctx); err != nil {
		return err
	}
	for _, f := range unfinished {
		s.add(f)
	}
	return nil
}

// unfinished lists it as it is at this moment.
func (s *store) unfinished(ctx context.Context) ([]Finding, error) {
	trash, err := s.oldTrash(ctx)
	if err != nil {
		return nil, err
	}
	mounts, err := s.staleMounts()
	if err != nil {
		return nil, err
	}
	leases, err := s.staleLeases()
	return slices.Concat(trash, mounts, leases), err
}
