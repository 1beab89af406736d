package cli

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Screen is a terminal that shows one page, which is drawn anew over and over.
type Screen struct {
	terminal *os.File
	// out is where it is written to, which remembers errors.
	out io.Writer
}

// Sequences of ECMA-48 and xterm's, which all terminals of today know.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the alternate screen; no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	cursorHome  = "\x1b[H"
	eraseRight  = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// StartScreen begins to show a page in the place of what is on the terminal. It
// returns nil if the standard output is not a terminal on which that can be
// done. The caller must End it, and before that write nothing else.
func (e Env) StartScreen() *Screen {
	terminal := e.stdoutTerminal()
	if terminal == nil {
		return nil
	}
	s := &Screen{terminal: terminal, out: e.Stdout}
	_, _ = io.WriteString(s.out, enterScreen)
	return s
}

// StdoutIsTerminal tells whether the standard output is a terminal on which a
// line can be written anew.
func (e Env) StdoutIsTerminal() bool { return e.stdoutTerminal() != nil }

// stdoutTerminal returns the terminal that the standard output is, or nil.
func (e Env) stdoutTerminal() *os.File {
	out := e.Stdout
	if w, ok := out.(*Writer); ok {
		out = w.w
	}
	if terminal, ok := out.(*os.File); ok && isTerminal(terminal, e.Getenv) {
		return terminal
	}
	return nil
}

// Draw shows a text, as much of it as the terminal has room for.
func (s *Screen) Draw(text string) error {
	width, height, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	var page strings.Builder
	page.WriteString(cursorHome)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			page.WriteString("\n")
		}
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width])
		}
		page.WriteString(line + eraseRight)
	}
	page.WriteString(eraseBelow)
	_, err = io.WriteString(s.out, page.String())
	return err
}

// End brings back what was on the terminal before.
func (s *Screen) End() {
	if s != nil {
		_, _ = io.WriteString(s.out, leaveScreen)
	}
}
