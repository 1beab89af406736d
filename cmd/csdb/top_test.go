package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// snapshots runs "csdb top --json" at a time that is not long after now.
func (s *sample) snapshots(t testing.TB, flags ...string) (all []snapshot) {
	t.Helper()
	var stdout, stderr strings.Builder
	env := cli.Env{Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }, Now: time.Now}
	args := append([]string{"csdb", "--root", s.root, "--runroot", s.runRoot, "top", "--json"}, flags...)
	if status := run(t.Context(), env, args); status != exitOK || stderr.Len() > 0 {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	for line := range strings.Lines(stdout.String()) {
		var v snapshot
		must(t, json.Unmarshal([]byte(line), &v))
		all = append(all, v)
	}
	return all
}

func TestTopTellsWhatWasCommitted(t *testing.T) {
	s := newSample(t)
	all := s.snapshots(t)
	if len(all) != 1 {
		t.Fatalf("%d snapshots", len(all))
	}
	v := all[0]
	if v.Root != s.root || v.UUID == "" || !v.Recorded || len(v.Processes)+len(v.Work) > 0 || v.WorkUnknown != "" {
		t.Errorf("got %+v", v)
	}
	// As many as the journal has, of which the sum says the same.
	var numbers []uint64
	for line := range strings.Lines(s.csdb(t, "log", "--json").stdout) {
		var e db.JournalEntry
		must(t, json.Unmarshal([]byte(line), &e))
		numbers = append([]uint64{uint64(e.TxID)}, numbers...)
	}
	if v.Commits.Count != len(numbers) || v.Commits.PerSecond != float64(len(numbers))/60 {
		t.Errorf("%d transactions, and the sum says %+v", len(numbers), v.Commits)
	}
	var shown []uint64
	for _, c := range v.Last {
		shown = append(shown, c.TxID)
		if c.PID != os.Getpid() || c.Op == "" || c.Changes < 1 || c.Written < 8192 || c.Commit > v.Commits.Commit.Max {
			t.Errorf("got %+v", c)
		}
	}
	if diff := cmp.Diff(numbers[:min(len(numbers), lastShown)], shown); diff != "" {
		t.Error(diff)
	}
	for name, of := range map[string]spread{"commit": v.Commits.Commit, "wait": v.Commits.Wait, "function": v.Commits.Function} {
		if of.Median <= 0 || of.P95 < of.Median || of.Max < of.P95 {
			t.Errorf("%s: %+v", name, of)
		}
	}
}

// holdStopped starts a process that holds the lock of the database, and stops it.
func (s *sample) holdStopped(t testing.TB) (pid int, end func()) {
	t.Helper()
	child := testutil.Child(t, "hold", s.root)
	stdin, err := child.StdinPipe()
	must(t, err)
	stdout, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	must(t, child.Process.Signal(unix.SIGSTOP))
	return child.Process.Pid, func() {
		must(t, child.Process.Signal(unix.SIGCONT))
		must(t, stdin.Close())
		must(t, child.Wait())
	}
}

// That is what it is for. Were it to wait, it would for ever.
func TestTopShowsWhoHasStoppedWithTheLock(t *testing.T) {
	s := newSample(t)
	pid, end := s.holdStopped(t)
	waiting := testutil.Child(t, "csdb", "--root", s.root, "log")
	must(t, waiting.Start())
	var all []snapshot
	for range 500 {
		if all = s.snapshots(t, "--count", "2", "--interval", "20ms"); len(all[0].Processes) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for i, v := range all {
		if len(v.Processes) != 2 {
			t.Fatalf("got %+v", v.Processes)
		}
		holder, waiter := v.Processes[0], v.Processes[1]
		if holder.PID != pid || holder.State != "holds" || holder.Mode != "exclusive" || holder.Foreign {
			t.Errorf("the holder is %+v", holder)
		}
		if waiter.PID != waiting.Process.Pid || waiter.State != "waits" || waiter.Mode != "shared" {
			t.Errorf("the waiting one is %+v", waiter)
		}
		if seen := holder.Seen; (seen >= 20_000) != (i == 1) {
			t.Errorf("snapshot %d: it has been seen for %d µs", i, seen)
		}
	}
	text := s.csdb(t, "top")
	if text.status != exitOK || !strings.Contains(text.stdout, "holds  exclusive") || !strings.Contains(text.stdout, "waits  shared") {
		t.Errorf("got %+v", text)
	}
	end()
	must(t, waiting.Wait())
	if v := s.snapshots(t)[0]; len(v.Processes) > 0 {
		t.Errorf("got %+v", v.Processes)
	}
}

func TestTopShowsWhatProgramsAreAtWorkOn(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	defer store.Close()
	staged, err := store.StageLayer(t.Context(), graph.LayerSpec{}, diff(t, "staged"))
	must(t, err)
	v := s.snapshots(t)[0]
	found := 0
	for _, w := range v.Work {
		if w.PID == os.Getpid() && w.Command != "" && strings.Contains(w.Path, string(staged.ID())) && v.Time.Sub(w.Since) >= 0 {
			found++
		}
	}
	if found == 0 || found != len(v.Work) {
		t.Errorf("got %+v", v.Work)
	}
	if text := s.csdb(t, "top").stdout; !strings.Contains(text, "AT WORK ON") {
		t.Errorf("got %s", text)
	}
	must(t, staged.Discard(t.Context()))
	if v := s.snapshots(t)[0]; len(v.Work) > 0 {
		t.Errorf("got %+v", v.Work)
	}
}

func TestTopIsDrawnOverAndOverOnATerminal(t *testing.T) {
	const enter, leave = "\x1b[?1049h", "\x1b[?1049l"
	for name, test := range map[string]struct {
		stop   func(s *sample, cancel context.CancelFunc) error
		status int
		after  string
	}{
		"until it is interrupted":    {func(_ *sample, cancel context.CancelFunc) error { cancel(); return nil }, exitOK, ""},
		"until something goes wrong": {func(s *sample, _ context.CancelFunc) error { return os.RemoveAll(s.root) }, exitUnreadable, "csdb: no store"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t)
			terminal := testutil.NewTerminal(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			env := cli.Env{Stdout: terminal.File, Stderr: terminal.File, Getenv: func(string) string { return "" }, Now: time.Now}
			status := make(chan int, 1)
			go func() {
				status <- run(ctx, env, []string{"csdb", "--root", s.root, "--runroot", s.runRoot, "top", "--interval", "20ms"})
				_, _ = io.WriteString(terminal.File, "END")
			}()
			for strings.Count(terminal.WaitFor(t, "\x1b[H"), "\x1b[H") < 3 {
				terminal.Next(t)
			}
			must(t, test.stop(s, cancel))
			if got := <-status; got != test.status {
				t.Errorf("status %d", got)
			}
			text := terminal.WaitFor(t, "END")
			before, after, left := strings.Cut(text, leave)
			if !strings.HasPrefix(text, enter) || !left || !strings.HasSuffix(after, "END") || !strings.HasPrefix(after, test.after) || test.after == "" && after != "END" {
				t.Errorf("got %q, and then %q", before, after)
			}
			if !strings.Contains(before, "transactions in the last minute") {
				t.Errorf("got %q", before)
			}
		})
	}
}

func TestTopOfManySnapshotsInAPipe(t *testing.T) {
	s := newSample(t)
	r := s.csdb(t, "top", "-n", "3", "-i", "10ms")
	if got := strings.Count(r.stdout, "store "+s.root); r.status != exitOK || got != 3 {
		t.Errorf("%d snapshots in %+v", got, r)
	}
	if all := s.snapshots(t, "-n", "3", "-i", "10ms"); len(all) != 3 || !all[2].Time.After(all[0].Time) {
		t.Errorf("got %+v", all)
	}
}

// An interrupt ends it when it goes on for ever, and that is no failure.
func TestTopEndsWhenItIsInterrupted(t *testing.T) {
	s := newSample(t)
	child := testutil.Child(t, "csdb", "--root", s.root, "top", "-n", "0")
	stdout, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	must(t, child.Process.Signal(unix.SIGINT))
	_, _ = io.Copy(io.Discard, stdout)
	must(t, child.Wait())
}

func TestRatesAreThoseOfTheLastMinute(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	commits := func(n int, every time.Duration) (all []db.Commit) {
		for i := range n {
			all = append(all, db.Commit{
				TxID: uint64(1000 + i), Time: now.Add(-time.Duration(n-1-i) * every),
				Took: time.Duration(i+1) * time.Millisecond, Waited: time.Microsecond, Ran: time.Second,
			})
		}
		return all
	}
	for name, test := range map[string]struct {
		commits []db.Commit
		want    rates
	}{
		"none":                    {nil, rates{}},
		"one":                     {commits(1, 0), rates{1, 1. / 60, spread{1000, 1000, 1000}, spread{1, 1, 1}, spread{1e6, 1e6, 1e6}}},
		"some of them are older":  {commits(100, 2*time.Second), rates{31, 31. / 60, spread{85_000, 99_000, 100_000}, spread{1, 1, 1}, spread{1e6, 1e6, 1e6}}},
		"more than are recorded":  {commits(db.RecordedCommits, 10*time.Millisecond), rates{256, 256 / 2.55, spread{128_000, 244_000, 256_000}, spread{1, 1, 1}, spread{1e6, 1e6, 1e6}}},
		"some have been missed":   {append(commits(3, time.Second)[:1], commits(3, time.Second)[2]), rates{3, 3. / 60, spread{1000, 3000, 3000}, spread{1, 1, 1}, spread{1e6, 1e6, 1e6}}},
		"some are in the future":  {[]db.Commit{{TxID: 1, Time: now.Add(time.Hour)}}, rates{}},
		"all of them are too old": {[]db.Commit{{TxID: 1, Time: now.Add(-time.Hour)}}, rates{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ratesOf(test.commits, now), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What has been seen stays until it is a minute old, though the store does not
// have it any more.
func TestTransactionsAreRememberedForAMinute(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := newWatch(nil)
	at := func(id uint64, age time.Duration) db.Commit { return db.Commit{TxID: id, Time: now.Add(-age)} }
	w.remember([]db.Commit{at(1, 50*time.Second), at(2, 30*time.Second)}, now)
	w.remember([]db.Commit{at(2, 30*time.Second), at(3, time.Second)}, now)
	w.remember([]db.Commit{at(3, time.Second)}, now.Add(20*time.Second))
	if diff := cmp.Diff([]db.Commit{at(2, 30*time.Second), at(3, time.Second)}, w.commits); diff != "" {
		t.Error(diff)
	}
}

func TestTimesAreWrittenWithThreeDigits(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0s", 7: "7µs", 1234: "1.23ms", 12_345: "12.3ms", 123_456: "123.5ms", 1_234_567: "1.23s", 83_456_789: "1m23s",
	} {
		if got := micro(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// What others have written to the lock file does not get to the terminal as it
// is.
func TestTopShowsNoControlCharacters(t *testing.T) {
	v := &snapshot{
		Recorded: true, Processes: []process{{Command: "\x1b[2J"}}, Work: []work{{Path: "a\nb", Command: "\a"}},
		Last: []commit{{Command: "\x1b]0;", Op: "\t\t", Kind: model.Kind("\r"), ID: "\x9b"}},
	}
	for _, r := range v.text() {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			t.Errorf("%q is in %q", r, v.text())
			break
		}
	}
}
