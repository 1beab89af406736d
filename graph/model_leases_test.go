package graph_test

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/csdb/csdb/model"
)

// leased tells whether one of some objects is.
func (w *world) leased(ids ...model.ID) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(w.leases)), func(id model.ID) bool { return slices.Contains(ids, id) })
}

func drawLease(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"lease-1", "lease-2"}).Draw(rt, "lease")
}

func (m *machine) lease(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	o := op{Do: "lease", Kind: kind, ID: m.drawID(rt, kind, "id"), Key: drawLease(rt)}
	err := first(when(m.world.leases[o.Key] != nil, model.ErrLeaseExists), m.unknown(kind, o.ID))
	if m.run(rt, by, o, err).Err == "" {
		m.world.leases[o.Key] = o.object()
	}
}

func (m *machine) unlease(rt *rapid.T) {
	_, by := m.draw(rt)
	o := op{Do: "unlease", Key: drawLease(rt)}
	m.run(rt, by, o, when(m.world.leases[o.Key] == nil, model.ErrLeaseUnknown))
	delete(m.world.leases, o.Key)
}
