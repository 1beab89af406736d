//go:build crashtest

package graph_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/model"
)

// A process stops at each crash point, for as long as another one recovers the
// store, and goes on: what it is at must not have been touched. While it commits
// that cannot be done: whoever does keeps everybody waiting.
func TestRecoverBesideWorkAtEveryCrashPoint(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"vfs", "overlay"} {
		for _, sc := range scenarios(t) {
			t.Run(driver+"/"+sc.name, func(t *testing.T) {
				k := killer{place: killPlace(t, driver), scenario: sc}
				k.place.images = sc.split
				k.watch(t)
				hits := k.count(t)
				for _, point := range slices.Sorted(maps.Keys(hits)) {
					if point == crashpoint.CommitBefore || slices.Contains(crashpoint.Several(), point) {
						continue
					}
					for n := 1; n <= hits[point] && (n == 1 || !testing.Short()) && !t.Failed(); n++ {
						k.disturb(t, point, n)
						if t.Failed() {
							t.Logf("stopped at %s, hit %d of %d", point, n, hits[point])
						}
					}
				}
			})
		}
	}
}

// disturb lets a process do the work, and recovers the store when it has come to
// the n-th hit of a crash point, and after each step.
func (k *killer) disturb(t *testing.T, point string, n int) {
	t.Helper()
	p := k.place.beside(fmt.Sprint(k.killed))
	k.killed++
	k.scenario.prepare(t, p)
	h, done := p.takeHands(t)
	defer done()
	stopped := false
	a := startAgent(t, p, at(point, n)+"=stop")
	for _, o := range k.scenario.do {
		r := a.interrupt(t, o, func() {
			stopped = true
			h.mustDo(t, op{Do: "recover"})
		})
		if r.Err != "" {
			t.Fatalf("%s %s: %s", o.Do, o.ID, r.Text)
		}
		h.mustDo(t, op{Do: "recover"})
	}
	if !stopped && n == 1 { // others may have done some of the work
		t.Error("it did not stop")
	}
	a.end(t)
	p.fsck(t)
	p.recoverAll(t, h.store)
	if diff := cmp.Diff(k.states[len(k.states)-1], observe(t, p, h.store)); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	p.shutdown(t)
	p.vacate(t)
}

// interrupt lets the agent do something. If it stops on the way do is called,
// and then it goes on.
func (a *remote) interrupt(t *testing.T, o op, do func()) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer := make(chan result, 1)
	go func() { answer <- a.perform(ctx, o) }()
	for {
		select {
		case r := <-answer:
			return r
		case <-ctx.Done():
			t.Fatalf("%s has no end", o.Do)
		case <-time.After(time.Millisecond):
			if a.hasStopped(t) {
				do()
				noError(t, a.child.Process.Signal(syscall.SIGCONT))
				return <-answer
			}
		}
	}
}

// hasStopped tells whether the process of the agent has stopped, see proc(5).
func (a *remote) hasStopped(t *testing.T) bool {
	t.Helper()
	stat := must(os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.child.Process.Pid)))(t)
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return bytes.HasPrefix(after, []byte("T"))
}

// Whoever has found out that something is garbage, and comes to remove it, looks
// again: somebody may have been faster, and have made something new there.
func TestWhatIsLeftByCrashesIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	x := op{Do: "import", ID: "x", Data: tarball(t, file("a", "1"))}
	staged := x
	staged.Do = "stage-layer"
	key := setData(model.KindImage, "image", "key", "x")
	image := op{Do: "create", Kind: model.KindImage, ID: "image"}
	for name, test := range map[string]struct {
		scenario
		point string // at which who recovers is overtaken
		again op
	}{
		"deleted layer": {scenario{given: []op{x}, wrecks: []wreck{
			{crashpoint.CommitAfter, op{Do: "delete", Kind: model.KindLayer, ID: "x"}},
		}}, crashpoint.ReapFound, x},
		"staged layer": {scenario{wrecks: []wreck{{crashpoint.StageSynced, staged}}}, crashpoint.RecoverFound, x},
		"deleted data": {scenario{given: []op{image, key}, wrecks: []wreck{
			{crashpoint.CommitAfter, op{Do: "delete-data", Kind: model.KindImage, ID: "image", Key: "key"}},
		}}, crashpoint.ReapFound, key},
		"staged data": {scenario{given: []op{image}, wrecks: []wreck{{crashpoint.DataNamed, key}}}, crashpoint.RecoverFound, key},
	} {
		for _, driver := range []string{"vfs", "overlay"} {
			t.Run(driver+"/"+name, func(t *testing.T) {
				p := killPlace(t, driver)
				test.prepare(t, p)
				h, done := p.takeHands(t)
				defer done()
				a, stopped := startAgent(t, p, at(test.point, 1)+"=stop"), false
				r := a.interrupt(t, op{Do: "recover"}, func() {
					stopped = true
					h.mustDo(t, op{Do: "recover"})
					h.mustDo(t, test.again)
				})
				if r.Err != "" || !stopped {
					t.Errorf("it has stopped: %v, and then: %s", stopped, r.Text)
				}
				a.end(t)
				p.fsck(t)
			})
		}
	}
}
