package userns_test

import (
	"context"
	"errors"
	"os/exec"
	"testing"

	"github.com/csdb/csdb/internal/userns"
)

func TestAttendReturnsHowACommandEnds(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{"exit 0": "", "exit 3": "exit status 3", "kill -KILL $$": "signal: killed"} {
		err := userns.Attend(t.Context(), exec.CommandContext(t.Context(), "sh", "-c", script), nil)
		if (err == nil) != (want == "") || (err != nil && err.Error() != want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

func TestAttendStartsNothingAfterTheEnd(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	cancel(cause)
	command := exec.CommandContext(t.Context(), "true")
	if err := userns.Attend(ended, command, nil); !errors.Is(err, cause) || command.Process != nil {
		t.Errorf("%v, process %v", err, command.Process)
	}
}

func TestAttendKillsWhatCannotGoOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	command := exec.CommandContext(t.Context(), "sleep", "1h")
	if err := userns.Attend(t.Context(), command, func() error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if command.ProcessState == nil || command.ProcessState.String() != "signal: killed" {
		t.Errorf("the command: %v", command.ProcessState)
	}
}
