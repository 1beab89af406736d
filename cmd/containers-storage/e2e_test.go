package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/internal/testutil"
)

// The tests whose names begin with TestScript do what scripts do: each command
// is a process of its own, and most look at both streams as one.

// everywhere says where the scripts are run besides where they always are.
var everywhere = flag.Bool("everywhere", false, "run every script on every file system")

// script is a store that scripts work on, in a directory of a file system of
// its own.
type script struct {
	dir, root, runRoot, driver string
	// flags stand before each command, besides those that say which store is
	// meant. DIR in them is the directory.
	flags []string
}

// with returns the store with more such flags.
func (s script) with(flags ...string) script {
	s.flags = slices.Concat(s.flags, flags)
	return s
}

// beside returns another store in the same directory.
func (s script) beside(name string) script {
	return script{dir: s.dir, root: filepath.Join(s.dir, name), runRoot: filepath.Join(s.dir, name+"-run"), driver: s.driver}
}

// stores returns what scripts have to work on alike, by what it is on which file
// system. Each command is a process, in which hardly anything happens at the same
// time; so few of them will do for the race detector, with which it takes long to
// begin one.
func stores(filesystems []string) map[string]script {
	all := make(map[string]script)
	if testutil.Race {
		return map[string]script{"overlay on ext4": {driver: "overlay"}}
	}
	for _, driver := range []string{"overlay", "vfs"} {
		for _, fs := range filesystems {
			all[driver+" on "+fs] = script{driver: driver}
		}
		all[driver+" transient on ext4"] = script{driver: driver, flags: []string{"--transient-store"}}
	}
	return all
}

// forEachDriver runs a test with a store of each driver. What every script may
// rely on is checked after it: wipe and shutdown leave no mount below the roots,
// and the database agrees with itself.
func forEachDriver(t *testing.T, test func(t *testing.T, s script)) {
	t.Helper()
	if *everywhere {
		forEachStore(t, test)
	} else {
		runOn(t, []string{"ext4"}, test)
	}
}

// forEachStore is forEachDriver for scripts about what is in layers. They run on
// XFS too, where files that are copied share their blocks.
func forEachStore(t *testing.T, test func(t *testing.T, s script)) {
	t.Helper()
	runOn(t, []string{"ext4", "xfs"}, test)
}

func runOn(t *testing.T, filesystems []string, test func(t *testing.T, s script)) {
	t.Helper()
	testutil.NeedRoot(t)
	for name, s := range stores(filesystems) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.dir = testutil.SharedLoop(t, name[strings.LastIndex(name, " ")+1:])
			s.root, s.runRoot = filepath.Join(s.dir, "root"), filepath.Join(s.dir, "runroot")
			defer s.finish(t) // while the context of the test lasts
			test(t, s)
		})
	}
}

// finish ends the use of the store.
func (s script) finish(t *testing.T) {
	t.Helper()
	s.wantOutput(t, "", "wipe")
	s.wantOutput(t, "", "layers")
	s.wantOutput(t, "", "shutdown")
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(s.dir))
	if err != nil || len(mounts) > 0 {
		t.Errorf("still mounted after wipe and shutdown: %v %v", mounts, err)
	}
	database, err := db.Open(t.Context(), s.root, db.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer database.Close()
	dbtest.Check(t, database)
}

// command returns a process that runs the command on the store.
func (s script) command(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	child := testutil.Child(t, "command", s.withRoots(words)...)
	child.Dir, child.Stderr, child.Env = s.dir, nil, append(child.Env, asCommand)
	return child
}

// withRoots puts the flags that say which store is meant before words.
func (s script) withRoots(words []string) []string {
	roots := []string{"--graph", s.root, "--run", s.runRoot, "--storage-driver", s.driver}
	for _, flag := range s.flags {
		roots = append(roots, strings.ReplaceAll(flag, "DIR", s.dir))
	}
	return slices.Concat(roots, words)
}

// try runs the command and returns what it printed on both streams, and its
// exit status.
func (s script) try(t *testing.T, words ...string) (output string, status int) {
	t.Helper()
	child := s.command(t, words...)
	merged, err := child.CombinedOutput()
	if child.ProcessState == nil {
		t.Fatalf("%q: %v", words, err)
	}
	return string(merged), child.ProcessState.ExitCode()
}

// ok runs a command that has to succeed, and returns what it printed.
func (s script) ok(t *testing.T, words ...string) string {
	t.Helper()
	output, status := s.try(t, words...)
	if status != 0 {
		t.Fatalf("%q: exit status %d: %s", words, status, output)
	}
	return output
}

// fails runs a command that has to fail, and returns what it printed.
func (s script) fails(t *testing.T, words ...string) string {
	t.Helper()
	output, status := s.try(t, words...)
	if status != exitFailed {
		t.Errorf("%q: exit status %d instead of %d: %s", words, status, exitFailed, output)
	}
	return output
}

// wantOutput runs a command that has to succeed and print just this.
func (s script) wantOutput(t *testing.T, want string, words ...string) {
	t.Helper()
	if got := s.ok(t, words...); got != want {
		t.Errorf("%q printed %q instead of %q", words, got, want)
	}
}

// wantLines runs a command that has to succeed and print these lines, in any
// order.
func (s script) wantLines(t *testing.T, want []string, words ...string) {
	t.Helper()
	got := lines(s.ok(t, words...))
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
		t.Errorf("%q (-want +got):\n%s", words, diff)
	}
}

// wantFailure runs a command that has to fail with certain words.
func (s script) wantFailure(t *testing.T, want string, words ...string) {
	t.Helper()
	if got := s.fails(t, words...); !strings.Contains(got, want) {
		t.Errorf("%q printed %q without %q", words, got, want)
	}
}

// line runs a command that prints one line, and returns it.
func (s script) line(t *testing.T, words ...string) string {
	t.Helper()
	all := lines(s.ok(t, words...))
	if len(all) != 1 {
		t.Fatalf("%q printed %q instead of one line", words, all)
	}
	return all[0]
}

// stdout runs a command that has to succeed, and returns the bytes on its
// standard output.
func (s script) stdout(t *testing.T, words ...string) []byte {
	t.Helper()
	child := s.command(t, words...)
	var stderr bytes.Buffer
	child.Stderr = &stderr
	output, err := child.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%q: %v: %s", words, err, stderr.String())
	}
	return output
}

// path returns the path of a file beside the store.
func (s script) path(name string) string { return filepath.Join(s.dir, name) }

// file makes a file beside the store and returns its path.
func (s script) file(t *testing.T, name, text string) string {
	t.Helper()
	writeFile(t, s.path(name), text)
	return s.path(name)
}

// lines splits a text into its lines.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
