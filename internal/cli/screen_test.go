package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
)

func TestScreenShowsOnePageAndGivesBackTheTerminal(t *testing.T) {
	terminal := testutil.NewTerminal(t)
	env := cli.Env{Stdout: cli.NewWriter(terminal.File), Getenv: func(string) string { return "" }}
	screen := env.StartScreen()
	if screen == nil {
		t.Fatal("it is no terminal")
	}
	for _, page := range []string{"one\ntwo\n", strings.Repeat(strings.Repeat("ü", 130)+"\n", 30)} {
		if err := screen.Draw(page); err != nil {
			t.Fatal(err)
		}
	}
	screen.End()
	fmt.Fprint(terminal.File, "end")
	const before, after, end = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[K\x1b[J"
	full := strings.TrimSuffix(strings.Repeat(strings.Repeat("ü", 120)+"\x1b[K\r\n", 24), "\x1b[K\r\n")
	want := before + "\x1b[Hone\x1b[K\r\ntwo" + end + "\x1b[H" + full + end + after + "end"
	if got := terminal.WaitFor(t, "end"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestThereIsNoScreenWithoutTerminal(t *testing.T) {
	terminal := testutil.NewTerminal(t)
	var text strings.Builder
	for name, env := range map[string]cli.Env{
		"a pipe":          {Stdout: &text, Getenv: os.Getenv},
		"a dumb terminal": {Stdout: terminal.File, Getenv: func(string) string { return "dumb" }},
	} {
		if screen := env.StartScreen(); screen != nil || text.Len() > 0 {
			t.Errorf("%s is taken for one", name)
		}
	}
	(*cli.Screen)(nil).End()
}
