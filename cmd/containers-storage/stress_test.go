package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
)

// How long, and in which order.
var (
	stressTime = flag.Duration("stress", 5*time.Second, "how long eight processes use one store")
	stressSeed = flag.Uint64("stress-seed", 0, "what decides which commands they run; 0 means the time")
)

// workers is how many processes there are at once.
const workers = 8

// TestEightProcessesShareAStore lets eight loops run commands on one store, each
// a process of its own. What is of one loop alone has to be as the loop has left
// it, after each command. What all of them use may be gone, in the way, or in use:
// each command on that has a list of the failures that can be explained. `make
// stress` does it for two minutes.
func TestEightProcessesShareAStore(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	seed := *stressSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for name, s := range stressed() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("-stress-seed %d", seed)
			s.dir = testutil.SharedLoop(t, "ext4")
			s.root, s.runRoot = filepath.Join(s.dir, "root"), filepath.Join(s.dir, "runroot")
			if !strings.Contains(name, "more stores") {
				defer s.finish(t)
			} else {
				other := s.beside("ro-root")
				other.filled(t)
				s = s.with("--image-store", filepath.Join(s.dir, "images"))
				defer s.finish(t) // without what is not to be wiped
				s = s.with("--storage-opt=.imagestore=" + other.root)
			}
			s.ok(t, "import-layer", "-i", "base", "-f", testFile(t, "base.tar.gz"))
			s.stress(t, seed)
			s.wantClean(t)
		})
	}
}

// stressed are the stores that are put under stress: those that other scripts have,
// and some with an image store and an additional store.
func stressed() map[string]script {
	all := stores([]string{"ext4"})
	for _, driver := range []string{"overlay", "vfs"} {
		if testutil.Race {
			break // see stores
		}
		all[driver+" with more stores"] = script{driver: driver}
	}
	return all
}

// stress runs the loops until the time is over, or one of them fails.
func (s script) stress(t *testing.T, seed uint64) {
	t.Helper()
	end := time.Now().Add(*stressTime)
	steps := make([]int, workers)
	var running sync.WaitGroup
	for i := range workers {
		running.Go(func() {
			w := &worker{
				t: t, store: s, name: fmt.Sprintf("w%d", i), random: rand.New(rand.NewPCG(seed, uint64(i))),
				stacks: []*stack{{name: fmt.Sprintf("w%d-a", i)}, {name: fmt.Sprintf("w%d-b", i)}},
			}
			for time.Now().Before(end) && !t.Failed() {
				w.step()
				steps[i]++
			}
			w.checkAll()
		})
	}
	running.Wait()
	t.Logf("steps of the loops: %d", steps)
	if slices.Min(steps) == 0 {
		t.Error("a loop has done nothing")
	}
}

// wantClean checks the store with everything that has a digest, and sees to it
// that nothing is left over.
func (s script) wantClean(t *testing.T) {
	t.Helper()
	s.wantOutput(t, "", "check")
	s.wantOutput(t, "", "gc")
	report, err := fsck.Check(t.Context(), fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: fsck.Contents})
	if err != nil {
		t.Fatal(err)
	}
	if report.Verdict != fsck.Clean {
		t.Errorf("fsck: %s: %+v", report.Verdict, report.Findings)
	}
}

// worker is a loop that runs commands.
type worker struct {
	t      *testing.T
	store  script
	name   string
	random *rand.Rand
	stacks []*stack
	past   []string // the last commands
}

// stack is what a loop has made, and nobody else uses: layers on each other, an
// image of the last one, and a container of that.
type stack struct {
	name      string
	made      int      // how many layers have been made, so that IDs are new
	layers    []string // the lowest first
	archives  []string // what was applied to them
	image     string
	names     []string // of the image, in order
	item      string   // what its data item has
	container string
	written   string // what a file in the container has
}

// run runs a command and returns its output and exit status. A command that is
// killed, or ends with another status than 0 or 1, is an error in any case.
func (w *worker) run(words ...string) (output string, status int) {
	w.t.Helper()
	child := w.store.command(w.t, words...)
	merged, err := child.CombinedOutput()
	output, status = string(merged), -1
	if child.ProcessState != nil {
		status = child.ProcessState.ExitCode()
	}
	w.past = append(w.past, fmt.Sprintf("%q: %d, %q", words, status, output))
	if len(w.past) > 6 {
		w.past = w.past[1:]
	}
	if status != exitOK && status != exitFailed {
		w.fail("cannot be explained: %v", err)
	}
	return output, status
}

// fail reports the last command.
func (w *worker) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("%s: %s; the last commands:\n%s", w.name, fmt.Sprintf(format, args...), strings.Join(w.past, "\n"))
}

// want runs a command that has to succeed and print this.
func (w *worker) want(want string, words ...string) {
	w.t.Helper()
	if output, status := w.run(words...); status != exitOK || output != want {
		w.fail("should print %q", want)
	}
}

// line runs a command that has to succeed and print one line.
func (w *worker) line(words ...string) string {
	w.t.Helper()
	output, status := w.run(words...)
	if status != exitOK || strings.Count(output, "\n") != 1 {
		w.fail("should print one line")
	}
	return strings.TrimSuffix(output, "\n")
}

// refused runs a command that has to fail with these words.
func (w *worker) refused(want string, words ...string) {
	w.t.Helper()
	if output, status := w.run(words...); status != exitFailed || !strings.Contains(output, want) {
		w.fail("should fail with %q", want)
	}
}

// maybe runs a command that succeeds, or fails with one of these words.
func (w *worker) maybe(reasons []string, words ...string) bool {
	w.t.Helper()
	output, status := w.run(words...)
	if status == exitFailed && !slices.ContainsFunc(reasons, func(reason string) bool { return strings.Contains(output, reason) }) {
		w.fail("should succeed, or fail with one of %q", reasons)
	}
	return status == exitOK
}
