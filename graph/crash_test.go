//go:build crashtest

package graph_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/csdb/csdb/internal/crashpoint"
)

// A process is killed at each crash point that its work comes by: in the short
// version at the first hit, else at every hit. What it has acknowledged is
// there then; what it was at is there as a whole or not at all; nothing is left
// over when Recover has run; and the work can be taken up again.
func TestKillAtEveryCrashPoint(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			all, reached := scenarios(t), reached{}
			t.Run("during", func(t *testing.T) {
				for _, sc := range all {
					t.Run(sc.name, func(t *testing.T) {
						k := killer{place: killPlace(t, driver), scenario: sc}
						k.place.images = sc.split
						reached.add(k.killEverywhere(t))
					})
				}
			})
			if reached.scenarios < len(all) {
				return // not all of them were wanted
			}
			for _, point := range append(crashpoint.All(), crashpoint.Several()...) {
				if !slices.Contains(reached.points, point) {
					t.Errorf("nobody was killed at %s: there is no scenario that comes by it", point)
				}
			}
		})
	}
}

// reached are the crash points at which processes were killed.
type reached struct {
	mu        sync.Mutex
	scenarios int
	points    []string
}

func (r *reached) add(points []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scenarios++
	r.points = append(r.points, points...)
}
