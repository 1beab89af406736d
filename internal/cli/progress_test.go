package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
)

func TestProgressIsSilentWithoutTerminal(t *testing.T) {
	var stderr bytes.Buffer
	env := cli.Env{Stderr: &stderr, Getenv: os.Getenv}
	progress := env.StartProgress("reading", 3)
	source := strings.NewReader("abc")
	if r := progress.Reader(source); r != io.Reader(source) {
		t.Errorf("reading goes through %T without need", r)
	}
	if w := progress.Writer(&stderr); w != io.Writer(&stderr) {
		t.Errorf("writing goes through %T without need", w)
	}
	progress.Add(3)
	progress.End()
	if stderr.Len() > 0 {
		t.Errorf("something has been written: %q", stderr.String())
	}
}

func TestProgressIsShownOnTerminals(t *testing.T) {
	for _, test := range []struct {
		name  string
		total int64
		want  []string
	}{
		{"known size", 4 << 20, []string{"reading", "/ 4.2 MB", "2.1 MB", "/s"}},
		{"unknown size", cli.SizeUnknown, []string{"reading", "2.1 MB", "/s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			terminal := testutil.NewTerminal(t)
			env := cli.Env{Stderr: terminal.File, Getenv: func(string) string { return "" }}
			progress := env.StartProgress("reading", test.total)
			if _, err := io.CopyN(io.Discard, progress.Reader(zeros{}), 1<<20); err != nil {
				t.Fatal(err)
			}
			if _, err := progress.Writer(io.Discard).Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				terminal.WaitFor(t, want)
			}
			progress.Add(2 << 20) // now all of it is done
			progress.End()
			fmt.Fprint(terminal, "end")
			if text := terminal.WaitFor(t, "end"); !strings.HasSuffix(text, eraseLine+"end") {
				t.Errorf("something is left on the terminal: %q", text)
			}
		})
	}
}

// eraseLine moves the cursor up one line and erases what is below.
const eraseLine = "\x1b[1A\x1b[J"

func TestProgressIsSilentOnDumbTerminals(t *testing.T) {
	terminal := testutil.NewTerminal(t)
	env := cli.Env{Stderr: terminal.File, Getenv: func(string) string { return "dumb" }}
	progress := env.StartProgress("reading", 1)
	progress.Add(1)
	progress.End()
	fmt.Fprint(terminal, "end")
	if text := terminal.WaitFor(t, "end"); text != "end" {
		t.Errorf("something has been written: %q", text)
	}
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
