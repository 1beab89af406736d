package testutil

import (
	"flag"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// childPatience is how long output of a child is waited for after its end.
// Only processes that it has started could still write some.
const childPatience = 10 * time.Second

// Child returns a command that runs, in a new process of the test binary, the
// entry of that name that was given to Main. The caller connects its pipes and
// starts it; its errors go to those of the tests unless the caller sets
// Stderr. It is killed when the test ends, and when the test binary does.
//
// A child under the race detector reports races and exits with status 66; the
// statements that it reaches count in the coverage of the tests, unless it is
// killed.
func Child(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	main := running.Load()
	if main == nil {
		t.Fatal("TestMain of a package that uses testutil.Child has to call testutil.Main")
	}
	if main.entries[name] == nil {
		t.Fatalf("no entry %q was given to testutil.Main", name)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), binary, args...)
	child.Env = append(os.Environ(), childVariable+"="+name)
	child.Env = append(child.Env, coverage()...)
	child.Env = append(child.Env, haste()...)
	child.Stderr = os.Stderr
	child.WaitDelay = childPatience
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	t.Cleanup(func() {
		if child.Process != nil {
			_ = child.Wait() // returns at once if the caller has waited
		}
	})
	return child
}

// haste keeps a child from sleeping for a second before it exits, as programs
// under the race detector do.
func haste() []string {
	if !Race {
		return nil
	}
	return []string{"GORACE=atexit_sleep_ms=0 " + os.Getenv("GORACE")}
}

// coverage makes a child write its counters where the testing package collects
// them at the end of the process, if these tests measure coverage.
func coverage() []string {
	dir := flag.Lookup("test.gocoverdir")
	if testing.CoverMode() == "" || dir == nil || dir.Value.String() == "" {
		return nil
	}
	return []string{"GOCOVERDIR=" + dir.Value.String()}
}
