package testutil

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudoterminal (pty(7)) of 24 lines and 120 columns.
type Terminal struct {
	// File is for the program that is tested.
	*os.File

	master *os.File
	text   strings.Builder
}

// NewTerminal makes a pseudoterminal, which goes when the test ends. The test is
// skipped if there are none.
func NewTerminal(t testing.TB) *Terminal {
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
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs pseudoterminals: %v", err)
	}
	t.Cleanup(func() { _ = file.Close() })
	size := &unix.Winsize{Row: 24, Col: 120}
	if err := unix.IoctlSetWinsize(int(file.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
	return &Terminal{File: file, master: master}
}

// WaitFor reads what is written to the terminal until a text has appeared. It
// returns all that has been written so far.
func (p *Terminal) WaitFor(t testing.TB, text string) string {
	t.Helper()
	buffer := make([]byte, 4096)
	for !strings.Contains(p.text.String(), text) {
		n, err := p.master.Read(buffer)
		p.text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%q has not been shown: %v; but %q", text, err, p.text.String())
		}
	}
	return p.text.String()
}

// Type types a text; "\x03" is the key that interrupts.
func (p *Terminal) Type(t testing.TB, text string) {
	t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// Next waits until more is written to the terminal.
func (p *Terminal) Next(t testing.TB) {
	t.Helper()
	buffer := make([]byte, 4096)
	n, err := p.master.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	p.text.Write(buffer[:n])
}
