package graph

import (
	"context"

	"github.com/csdb/csdb/db"
)

// collectLeases removes the leases that have expired by the clock of the
// collection, so that they do not count for its deletions.
func (s *Store) collectLeases(ctx context.Context, options GCOptions, c *Collected) error {
	now := options.Now()
	all, err := s.Leases(ctx)
	for i := range all {
		if all[i].Expired(now) {
			c.Expired = append(c.Expired, all[i].ID)
		}
	}
	if err != nil || options.DryRun || len(c.Expired) == 0 {
		return err
	}
	return s.run.Update(ctx, func(run *db.RunTx) error {
		gone, err := dropExpired(run, now)
		c.Expired = append(c.Expired[:0], gone...) // somebody may have been faster
		return err
	})
}
