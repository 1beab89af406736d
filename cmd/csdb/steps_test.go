package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
)

// enlarge puts so many bytes into the database, in records of 10 kB.
func (s *sample) enlarge(t testing.TB, size int) {
	t.Helper()
	store := s.open(t)
	must(t, store.Update(t.Context(), func(tx *graph.Tx) error {
		for i := range size / 10_000 {
			if err := tx.Bucket("com.example.large").Put(fmt.Append(nil, i), make([]byte, 10_000)); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, store.Close())
}

// What may take long shows on a terminal how far it has come, and takes that off
// again.
func TestLongCommandsShowHowFarTheyHaveCome(t *testing.T) {
	s := newSample(t)
	s.enlarge(t, 4<<20)
	must(t, os.MkdirAll(s.path("vfs/dir/left"), 0o700))
	must(t, os.WriteFile(s.path("vfs/dir/left/file"), make([]byte, 1<<20), 0o600))
	backup, dump := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "dump")
	must(t, os.WriteFile(dump, []byte(s.csdb(t, "db", "dump").stdout), 0o600))
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"compact"}, []string{"compacting "}},
		{[]string{"backup", backup}, []string{"copying "}},
		{[]string{"restore", backup}, []string{"copying "}},
		{[]string{"rescue", "--force", "--dry-run"}, []string{"reading "}},
		{[]string{"db", "dump"}, []string{"reading "}},
		{[]string{"db", "load", dump, backup + ".new"}, []string{"reading "}},
		{[]string{"repair", "--depth", "contents", "--yes"}, []string{"reading "}},
		{[]string{"fsck", "--depth", "contents"}, []string{"reading "}},
		{[]string{"gc"}, []string{"measuring ", "removing "}},
		{[]string{"gc", "--unused-for", "0s"}, []string{"measuring ", "removing "}},
	} {
		t.Run(strings.Join(test.args[:min(2, len(test.args))], " "), func(t *testing.T) {
			terminal := testutil.NewTerminal(t)
			var stdout strings.Builder
			env := cli.Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: terminal.File, Getenv: func(string) string { return "" }, Now: time.Now}
			args := append([]string{"csdb", "--root", s.root, "--runroot", s.runRoot}, test.args...)
			if status := run(t.Context(), env, args); status != exitOK && status != exitRepairable {
				t.Errorf("status %d", status)
			}
			fmt.Fprint(terminal.File, "END")
			text := terminal.WaitFor(t, "END")
			for _, want := range test.want {
				_, rest, shown := strings.Cut(text, want)
				if !shown || !strings.Contains(rest, "\x1b[J") {
					t.Errorf("%q is not in %q", want, text)
				}
			}
			if !strings.HasSuffix(text, "\x1b[JEND") {
				t.Errorf("something is left: %q", text)
			}
		})
	}
}

// A dump that goes to the terminal is all that is to be seen there.
func TestDumpOnATerminalIsNotInterspersed(t *testing.T) {
	s := newSample(t)
	terminal := testutil.NewTerminal(t)
	env := cli.Env{Stdin: strings.NewReader(""), Stdout: terminal.File, Stderr: terminal.File, Getenv: func(string) string { return "" }, Now: time.Now}
	go func() {
		run(t.Context(), env, []string{"csdb", "--root", s.root, "db", "dump"})
		fmt.Fprint(terminal.File, "END")
	}()
	if text := terminal.WaitFor(t, "END"); strings.Contains(text, "\x1b") {
		t.Errorf("got %q", text)
	}
}

func TestProgressIsToldInLumps(t *testing.T) {
	var told []int64
	done := inLumps(func(n int64) { told = append(told, n) })
	for range 5 {
		done(lump / 2)
	}
	if diff := cmp.Diff([]int64{lump, lump}, told); diff != "" {
		t.Error(diff)
	}
}

// files returns the names of what is in the root of the store, and of databases
// that are not finished anywhere.
func (s *sample) files(t testing.TB) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(s.root)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// An interrupt at any time leaves the store as it was, or what was asked for is
// done: nothing in between, and no files of which nobody knows.
func TestInterruptedCommandsLeaveNothingBehind(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 3
	}
	for name, test := range map[string]struct {
		args    []string
		prepare func(t *testing.T, s *sample)
		made    string // by the command when it is done
	}{
		"compact": {args: []string{"compact"}},
		"backup":  {args: []string{"backup", "FILE"}, made: "backup.db"},
		"restore": {args: []string{"restore", "BACKUP"}},
		"gc": {args: []string{"gc"}, prepare: func(t *testing.T, s *sample) {
			for i := range 60 {
				dir := s.path(fmt.Sprintf("vfs/dir/left%d", i))
				must(t, os.MkdirAll(dir, 0o700))
				for j := range 10 {
					must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(j)), []byte("x"), 0o600))
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSample(t)
			s.enlarge(t, 30<<20)
			dir := t.TempDir()
			must(t, os.Rename(s.backup(t), filepath.Join(dir, "original")))
			before := s.files(t)
			var took time.Duration
			interrupted := 0
			for round := range rounds {
				if test.prepare != nil {
					test.prepare(t, s)
				}
				file := filepath.Join(dir, "backup.db")
				args := []string{"--root", s.root, "--runroot", s.runRoot}
				for _, arg := range test.args {
					args = append(args, strings.NewReplacer("FILE", file, "BACKUP", filepath.Join(dir, "original")).Replace(arg))
				}
				child := testutil.Child(t, "csdb", args...)
				var stderr strings.Builder
				child.Stderr = &stderr
				begin := time.Now()
				must(t, child.Start())
				if round > 0 { // the first one tells how long it takes
					time.Sleep(time.Duration(rand.Int64N(int64(took))))
					must(t, child.Process.Signal(unix.SIGINT))
				}
				_ = child.Wait()
				took = max(took, time.Since(begin))
				status := child.ProcessState.ExitCode()
				if status == exitFailed && stderr.Len() > 0 || status == -1 {
					interrupted++ // before or after it has seen to signals
				} else if status != exitOK && status != exitRepairable {
					t.Errorf("status %d: %s", status, &stderr)
				}
				if _, err := os.Stat(file); status == exitOK && test.made != "" {
					must(t, err)
				}
				for _, name := range s.files(t) {
					if strings.HasPrefix(name, ".tmp") || strings.HasSuffix(name, ".new") {
						t.Errorf("left behind: %s", name)
					}
				}
				left, err := filepath.Glob(filepath.Join(dir, ".tmp*"))
				if must(t, err); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
				report, err := fsck.Check(t.Context(), fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: fsck.References})
				if must(t, err); report.Verdict == fsck.Damaged || report.Verdict == fsck.Unchecked {
					t.Errorf("the store is %s: %+v", report.Verdict, report.Findings)
				}
				must(t, os.RemoveAll(file))
			}
			t.Logf("%d of %d were interrupted; it takes %v; %d files before, %d after", interrupted, rounds-1, took, len(before), len(s.files(t)))
		})
	}
}
