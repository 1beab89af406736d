//go:build crashtest

package graph_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

var killRounds = flag.Int("kill-rounds", 40, "how often to kill all processes that work on a store; a few times with -short")

// shortRounds is how often it is done with -short.
const shortRounds = 4

// Several processes work on one store until they are killed, each at an instant
// of its own. Each knows what it was told to have been done.
func TestKillAtRandomTimes(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) { killAtRandomTimes(t, killPlace(t, driver)) })
	}
}

func killAtRandomTimes(t *testing.T, p *place) {
	t.Helper()
	c := newCrew(t, p, 4)
	rounds := *killRounds
	if testing.Short() {
		rounds = min(rounds, shortRounds)
	}
	for i := range rounds {
		c.workAndDie(t)
		c.look(t)
		if t.Failed() {
			t.Fatalf("in round %d", i+1)
		}
	}
	done := 0
	for _, w := range c.workers {
		done += w.done
	}
	t.Logf("%d things were done in %d rounds", done, rounds)
	p.shutdown(t)
}

// crew is several workers on one store.
type crew struct {
	place   *place
	workers []*worker
	rest    state // what is to be seen apart from what they change
}

func newCrew(t *testing.T, p *place, size int) *crew {
	t.Helper()
	c := &crew{place: p}
	h, done := p.takeHands(t)
	defer done()
	h.mustDo(t, op{Do: "import", ID: "base", Data: tarball(t, file("a", "1"), folder("d"), file("d/b", "2"))})
	h.mustDo(t, op{Do: "create", Kind: model.KindImage, ID: shared, Parent: "base"})
	c.rest = observe(t, p, h.store)
	for i := range size {
		c.workers = append(c.workers, &worker{name: fmt.Sprint("worker", i), known: make(map[string]string)})
	}
	return c
}

// longestLife is how long a worker may live.
const longestLife = 500 * time.Millisecond

// workAndDie lets all workers work until they are killed.
func (c *crew) workAndDie(t *testing.T) {
	t.Helper()
	var wg sync.WaitGroup
	for _, w := range c.workers {
		w.agent = startAgent(t, c.place)
	}
	for _, w := range c.workers {
		wg.Go(func() {
			if err := w.work(t); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			time.Sleep(rand.N(longestLife))
			if err := w.agent.child.Process.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, w := range c.workers {
		w.agent.wasKilled(t)
	}
}

// look looks at the store when all workers are dead.
func (c *crew) look(t *testing.T) {
	t.Helper()
	c.place.fsck(t, fsck.CodeStray, fsck.CodeTrash, fsck.CodeMount, fsck.CodeIncomplete)
	h, done := c.place.takeHands(t)
	defer done()
	c.place.checkMounts(t, h.store, false)
	if rand.N(2) == 0 {
		observe(t, c.place, h.store)
	}
	c.place.recoverAll(t, h.store)
	seen := observe(t, c.place, h.store)
	for _, w := range c.workers {
		w.look(t, seen)
	}
	c.lookAtPulled(t, h, seen)
	if diff := cmp.Diff(c.rest, seen); diff != "" {
		t.Errorf("what nobody has changed (-want +got):\n%s", diff)
	}
}

// lookAtPulled looks at the image that all workers pull, and removes it
// sometimes.
func (c *crew) lookAtPulled(t *testing.T, h *hands, seen state) {
	t.Helper()
	_, there := seen["image pulled"]
	for _, w := range c.workers {
		if w.pulled && !there {
			t.Errorf("%s has pulled an image that is not there", w.name)
		}
	}
	for i := range 3 {
		id := fmt.Sprint("pulled-", i)
		if _, layer := seen["diff of "+id]; layer != there {
			t.Errorf("layer %s is there: %v; its image: %v", id, layer, there)
		}
		seen.forget("layer", id)
	}
	for _, key := range []string{"config", "manifest", "signature"} {
		if there && seen[fmt.Sprintf("data %q of image pulled", key)] != key {
			t.Errorf("the pulled image has no %s", key)
		}
	}
	seen.forget("image", "pulled")
	if there && rand.N(2) == 0 {
		h.mustDo(t, op{Do: "delete", Kind: model.KindImage, ID: "pulled"})
		for _, w := range c.workers {
			w.pulled = false
		}
	}
}
