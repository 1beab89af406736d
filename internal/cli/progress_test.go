package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/cli"
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
			terminal, shown := openTerminal(t)
			env := cli.Env{Stderr: terminal, Getenv: func(string) string { return "" }}
			progress := env.StartProgress("reading", test.total)
			if _, err := io.CopyN(io.Discard, progress.Reader(zeros{}), 1<<20); err != nil {
				t.Fatal(err)
			}
			if _, err := progress.Writer(io.Discard).Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				shown.waitFor(t, want)
			}
			progress.Add(2 << 20) // now all of it is done
			progress.End()
			fmt.Fprint(terminal, "end")
			shown.waitFor(t, "end")
			if text := shown.text.String(); !strings.HasSuffix(text, eraseLine+"end") {
				t.Errorf("something is left on the terminal: %q", text)
			}
		})
	}
}

// eraseLine moves the cursor up one line and erases what is below.
const eraseLine = "\x1b[1A\x1b[J"

func TestProgressIsSilentOnDumbTerminals(t *testing.T) {
	terminal, shown := openTerminal(t)
	env := cli.Env{Stderr: terminal, Getenv: func(string) string { return "dumb" }}
	progress := env.StartProgress("reading", 1)
	progress.Add(1)
	progress.End()
	fmt.Fprint(terminal, "end")
	shown.waitFor(t, "end")
	if text := shown.text.String(); text != "end" {
		t.Errorf("something has been written: %q", text)
	}
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// screen is what a terminal shows.
type screen struct {
	master *os.File
	text   strings.Builder
}

// waitFor reads what is written to the terminal until a text appears.
func (s *screen) waitFor(t *testing.T, text string) {
	t.Helper()
	buffer := make([]byte, 4096)
	for !strings.Contains(s.text.String(), text) {
		n, err := s.master.Read(buffer)
		s.text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%q has not been shown: %v; but %q", text, err, s.text.String())
		}
	}
}

// openTerminal returns a pseudoterminal (pty(7)) and what it shows.
func openTerminal(t *testing.T) (*os.File, *screen) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs pseudoterminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs pseudoterminals: %v", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	size := &unix.Winsize{Row: 24, Col: 120}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	return terminal, &screen{master: master}
}
