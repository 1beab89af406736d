package graph_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// One process takes a lease while another one deletes: of the two, exactly one
// succeeds.
func TestNoLeaseIsGivenOnWhatIsBeingDeleted(t *testing.T) {
	const rounds = 200
	p := newPlace(t, "vfs")
	s := p.open(t, func(o *graph.Options) { o.NoSync = true })
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		for i := range rounds {
			if _, err := tx.CreateImage(graph.ImageSpec{ID: model.ImageID(fmt.Sprint(i))}); err != nil {
				return err
			}
		}
		return nil
	}))
	lessor, deleter := startAgent(t, p), startAgent(t, p)
	leases := 0
	for i := range rounds {
		id := fmt.Sprint(i)
		lease := func() { lessor.order(t, op{Do: "lease", Kind: model.KindImage, ID: id, Key: id}) }
		remove := func() { deleter.order(t, op{Do: "delete", Kind: model.KindImage, ID: id}) }
		if i%2 == 0 {
			lease()
			remove()
		} else {
			remove()
			lease()
		}
		leased, deleted := lessor.answer(t), deleter.answer(t)
		_, err := s.Image(t.Context(), id)
		switch {
		case leased.Err == "" && deleted.Err == model.ErrInUse.Error() && err == nil:
			leases++
		case deleted.Err == "" && leased.Err == model.ErrNotFound.Error() && err != nil:
		default:
			t.Fatalf("round %d: lease %q, deletion %q, image %v", i, leased.Text, deleted.Text, err)
		}
	}
	if leases == 0 || leases == rounds {
		t.Errorf("the lease was first %d times of %d", leases, rounds)
	}
	lessor.end(t)
	deleter.end(t)
}

// Whoever is killed while he takes and gives up leases leaves whole ones, and
// nobody has to wait for him.
func TestKilledLessorLeavesWholeLeases(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "alone", "")
	for round := range 10 {
		key := fmt.Sprint("round-", round)
		a := startAgent(t, p)
		a.order(t, op{Do: "churn leases", Kind: model.KindLayer, ID: "alone", Key: key})
		for len(leaseIDs(t, s)) == 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(round) * 700 * time.Microsecond)
		a.kill(t)
		all := must(s.Leases(t.Context()))(t)
		if len(all) < 1 || len(all) > 2 {
			t.Fatalf("got %+v", all)
		}
		for _, l := range all {
			if len(l.Objects) != 1 || l.Objects[0].ID != "alone" || l.Reason != key || !l.Expires.After(time.Now()) {
				t.Errorf("got %+v", l)
			}
			wantError(t, s.DeleteLayer(t.Context(), "alone"), model.ErrLeased)
			noError(t, s.RemoveLease(t.Context(), l.ID))
		}
	}
	noError(t, s.DeleteLayer(t.Context(), "alone"))
}
