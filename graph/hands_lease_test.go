package graph_test

import (
	"context"
	"fmt"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// lease leases an object; Key is the ID of the lease.
func (h *hands) lease(ctx context.Context, o op) (result, error) {
	_, err := h.store.AddLease(ctx, graph.LeaseSpec{ID: o.Key, Objects: []model.ID{o.object()}})
	return result{}, err
}

func (h *hands) unlease(ctx context.Context, o op) (result, error) {
	return result{}, h.store.RemoveLease(ctx, o.Key)
}

// churnLeases takes leases on an object, extends and removes them, for ever.
func (h *hands) churnLeases(ctx context.Context, o op) (result, error) {
	for n := 0; ; n++ {
		spec := graph.LeaseSpec{ID: fmt.Sprintf("%s-%d", o.Key, n), Objects: []model.ID{o.object()}, Reason: o.Key}
		if _, err := h.store.AddLease(ctx, spec); err != nil {
			return result{}, err
		}
		if _, err := h.store.ExtendLease(ctx, spec.ID, 2*graph.DefaultLease); err != nil {
			return result{}, err
		}
		if n > 0 {
			if err := h.store.RemoveLease(ctx, fmt.Sprintf("%s-%d", o.Key, n-1)); err != nil {
				return result{}, err
			}
		}
	}
}
