//go:build crashtest

package graph_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
)

// killer kills processes at their work.
type killer struct {
	place    *place
	scenario scenario
	// states are what is to be seen before the work and after each step of it.
	states []state
	killed int
}

// killEverywhere kills one process at each of the crash points that the work
// comes by, and returns those.
func (k *killer) killEverywhere(t *testing.T) (points []string) {
	t.Helper()
	k.watch(t)
	hits := k.count(t)
	for _, point := range slices.Sorted(maps.Keys(hits)) {
		last := hits[point]
		if testing.Short() {
			last = 1
		}
		for n := 1; n <= last && !t.Failed(); n++ {
			k.kill(t, point, n)
			if t.Failed() {
				t.Logf("killed at %s, hit %d of %d", point, n, hits[point])
			}
		}
		points = append(points, point)
	}
	t.Logf("%d processes were killed at %d points", k.killed, len(points))
	return points
}

// watch does the work and notes what is to be seen after each step.
func (k *killer) watch(t *testing.T) {
	t.Helper()
	p := k.place.beside("watched")
	k.scenario.prepare(t, p)
	h, done := p.takeHands(t)
	defer done()
	see := func() {
		s, done := p.takeHands(t)
		defer done()
		k.states = append(k.states, observe(t, p, s.store))
	}
	see()
	for _, o := range k.scenario.do {
		h.mustDo(t, o)
		see()
	}
}

// count lets a process do the work and returns how often it came by which crash
// point.
func (k *killer) count(t *testing.T) map[string]int {
	t.Helper()
	p := k.place.beside("counted")
	k.scenario.prepare(t, p)
	a := startAgent(t, p)
	for _, o := range k.scenario.do {
		a.do(t, o)
	}
	hits := make(map[string]int)
	for _, line := range a.do(t, op{Do: "hits"}).List {
		point, n, _ := strings.Cut(line, "=")
		hits[point] = must(strconv.Atoi(n))(t)
	}
	a.end(t)
	p.fsck(t)
	p.shutdown(t)
	p.vacate(t)
	return hits
}

// kill lets a process do the work until it is killed at the n-th hit of a crash
// point, and then looks at what there is.
func (k *killer) kill(t *testing.T, point string, n int) {
	t.Helper()
	p := k.place.beside(fmt.Sprint(k.killed))
	k.killed++
	k.scenario.prepare(t, p)
	a, acknowledged := startAgent(t, p, at(point, n)), 0
	for _, o := range k.scenario.do {
		r := a.perform(t.Context(), o)
		if r.Err == noAnswer {
			break
		}
		if r.Err != "" {
			t.Fatalf("%s: %s", o.Do, r.Text)
		}
		acknowledged++
	}
	if acknowledged == len(k.scenario.do) {
		t.Fatal("all of the work was done")
	}
	a.wasKilled(t)
	k.inspect(t, p, acknowledged)
	p.vacate(t)
}

// inspect looks at a store after a crash, and goes on with the work. Recover is
// by turns the first to see what the crash has left over, and the last.
func (k *killer) inspect(t *testing.T, p *place, acknowledged int) {
	t.Helper()
	p.fsck(t, fsck.CodeStray, fsck.CodeTrash, fsck.CodeMount, fsck.CodeIncomplete, fsck.CodeUndecided)
	h, done := p.takeHands(t)
	defer done()
	if k.killed%2 == 0 {
		p.recoverAll(t, h.store)
	}
	p.checkMounts(t, h.store, k.killed%2 == 0)
	k.resume(t, p, acknowledged)
	p.recoverAll(t, h.store)
	if diff := cmp.Diff(k.states[len(k.states)-1], observe(t, p, h.store)); diff != "" {
		t.Errorf("when the work was taken up again (-want +got):\n%s", diff)
	}
	p.shutdown(t)
}

// wasDone compares what is seen with how it was before the step that was
// interrupted, and after it. It tells which of them it is.
func (k *killer) wasDone(t *testing.T, seen state, acknowledged int) (done bool) {
	t.Helper()
	before, after := k.states[acknowledged], k.states[acknowledged+1]
	if maps.Equal(seen, before) {
		return false
	}
	if maps.Equal(seen, after) {
		return true
	}
	o := k.scenario.do[acknowledged]
	if half, possible := before.halfApplied(o.ID); possible && o.Do == "apply" && maps.Equal(seen, half) {
		return false
	}
	t.Errorf("%s was neither done nor not; compared with before (-before +seen):\n%s\nand with afterwards (-after +seen):\n%s",
		o.Do, cmp.Diff(before, seen), cmp.Diff(after, seen))
	return false
}

// resume does what is left of the work.
func (k *killer) resume(t *testing.T, p *place, acknowledged int) {
	t.Helper()
	h, done := p.takeHands(t)
	defer done()
	next := acknowledged
	if k.wasDone(t, observe(t, p, h.store), acknowledged) {
		next++
	}
	// What was staged has gone.
	for next < len(k.scenario.do) && slices.Contains([]string{"commit-layer", "discard-layer"}, k.scenario.do[next].Do) {
		next--
	}
	for _, o := range k.scenario.do[next:] {
		h.mustDo(t, o)
	}
}

// takeHands opens a store and returns hands for it. The caller has to close it
// again.
func (p *place) takeHands(t testing.TB) (h *hands, done func()) {
	t.Helper()
	s := must(graph.Open(t.Context(), p.options(t)))(t)
	return &hands{store: s}, func() { t.Helper(); noError(t, s.Close()) }
}

// mustDo performs an operation that must work.
func (h *hands) mustDo(t testing.TB, o op) {
	t.Helper()
	if r := h.perform(t.Context(), o); r.Err != "" {
		t.Fatalf("%s %s: %s", o.Do, o.ID, r.Text)
	}
}

// recoverAll removes what dead processes have left over. They have noted all of
// it. The second time there must be nothing, and nothing for fsck to find.
func (p *place) recoverAll(t testing.TB, s *graph.Store) {
	t.Helper()
	if r := must(s.Recover(t.Context()))(t); len(r.Busy)+len(r.Strays) > 0 {
		t.Errorf("somebody seems to be alive, or has not noted what he was at: %+v", r)
	}
	if r := must(s.Recover(t.Context()))(t); len(r.Trash)+len(r.Staged)+len(r.Strays)+len(r.Busy) > 0 {
		t.Errorf("left over after Recover: %+v", r)
	}
	p.checkMounts(t, s, true)
	p.fsck(t, fsck.CodeIncomplete)
}

// fsck checks a store that nobody uses. It must not find anything but what is
// expected.
func (p *place) fsck(t testing.TB, expected ...fsck.Code) {
	t.Helper()
	report := must(fsck.Check(t.Context(), fsck.Options{Root: p.root, RunRoot: p.run}))(t)
	for _, f := range report.Findings {
		if !slices.Contains(expected, f.Code) {
			t.Errorf("fsck: %s %s: expected %s, found %s", f.Code, f.Place, f.Expected, f.Found)
		}
	}
}

// shutdown unmounts everything.
func (p *place) shutdown(t testing.TB) {
	t.Helper()
	h, done := p.takeHands(t)
	defer done()
	_, err := h.store.Shutdown(t.Context(), true)
	noError(t, err)
}

// vacate looks at what is there at the end, and removes it.
func (p *place) vacate(t testing.TB) {
	t.Helper()
	p.examine(t)
	noError(t, os.RemoveAll(filepath.Dir(p.root)))
}

// noAnswer is the class of the error when an agent does not answer.
const noAnswer = "agent"

// wasKilled waits for an agent that has died; nobody but itself has killed it.
func (a *remote) wasKilled(t testing.TB) {
	t.Helper()
	err := errors.Join(a.orders.Close(), a.child.Wait())
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the agent was not killed: %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the agent was not killed: %v", err)
	}
}
