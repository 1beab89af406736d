package testutil_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

func TestChildGetsArgumentsAndStandardStreams(t *testing.T) {
	child := testutil.Child(t, "echo", "-a", "", "-test.v", "b c")
	child.Stdin = strings.NewReader("through the pipe")
	if got, want := childOutput(t, child), "-a||-test.v|b c\nthrough the pipe"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChildThatFailsSaysWhy(t *testing.T) {
	var stderr bytes.Buffer
	child := testutil.Child(t, "fail")
	child.Stderr = &stderr
	err := child.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %v, want status 1", err)
	}
	if got, want := stderr.String(), "fail: as it was told\n"; got != want {
		t.Errorf("stderr is %q, want %q", got, want)
	}
}

func TestChildIsKilledWhenTheTestEnds(t *testing.T) {
	var child *exec.Cmd
	r := record(t.Context(), func(r testing.TB) {
		child = testutil.Child(r, "sleep")
		if err := child.Start(); err != nil {
			r.Fatal(err)
		}
	})
	if len(r.failures) > 0 {
		t.Fatal(r.failures)
	}
	status, ok := child.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("child ended with %v", child.ProcessState)
	}
}

func TestChildOfUnknownNameFailsTheTest(t *testing.T) {
	r := record(t.Context(), func(t testing.TB) { testutil.Child(t, "unicorn") })
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], `"unicorn"`) {
		t.Errorf("failures %q", r.failures)
	}
}
