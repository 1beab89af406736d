package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The golden files are transcripts. These lines are input:
//
//	# a comment
//	set NAME=VALUE      an environment variable
//	unset NAME          no such variable
//	% WORDS             a command that must succeed and is of no interest
//	$ WORDS             a command whose output is of interest
//
// Words are separated by blanks, 'x y' and "x y" are one word, $DIR is a
// directory with the files of testdata/files, $ROOT and $RUN are the roots of a
// store of the driver vfs, and "<FILE" at the end is the standard input. What
// follows a line with "$" is what the command printed: "1>" on the standard
// output, "2>" on the standard error, and "exit" a status that is not 0.
//
// IDs, digests, times and paths differ from run to run; each is replaced by a
// word that tells which one it is. Usage and lists of options are not shown
// again.
//
// Besides those in testdata, there is one for each command in testdata/commands,
// see TestEveryCommandHasItsCases.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) {
			t.Parallel()
			checkGolden(t, file, newTranscript(t))
		})
	}
}

// checkGolden runs the commands of a golden file.
func checkGolden(t *testing.T, file string, s *transcript) {
	t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := s.run(t, string(want))
	if *update {
		writeFile(t, file, got)
		return
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// transcript runs the commands of a golden file.
type transcript struct {
	local       localStore
	environment map[string]string
	known       map[string]string // what is replaced
	shown       map[string]bool   // usage and lists of options
	brief       bool              // nor are they shown the first time
	out         strings.Builder
}

func newTranscript(t *testing.T) *transcript {
	t.Helper()
	return &transcript{
		local: newLocalStore(t), environment: make(map[string]string),
		known: make(map[string]string), shown: make(map[string]bool),
	}
}

// run runs the commands of a golden file and returns what it should be.
func (s *transcript) run(t *testing.T, golden string) string {
	t.Helper()
	for line := range strings.Lines(golden) {
		line = strings.TrimSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "1>", "2>", "exit":
			continue
		case "set":
			name, value, _ := strings.Cut(rest, "=")
			s.environment[name] = s.local.fillIn(value)
		case "unset":
			delete(s.environment, rest)
		case "%":
			if r := s.command(t, rest); r.status != 0 {
				t.Errorf("%s: exit status %d: %s%s", line, r.status, r.stdout, r.stderr)
			}
		case "$":
			fmt.Fprintln(&s.out, line)
			s.print(s.command(t, rest))
			continue
		}
		fmt.Fprintln(&s.out, line)
	}
	return s.out.String()
}

// print adds the output of a command to the transcript.
func (s *transcript) print(r result) {
	for i, stream := range []string{r.stdout, r.stderr} {
		if stream == "" {
			continue
		}
		for line := range strings.Lines(s.shorten(s.replaceAll(stream))) {
			fmt.Fprintln(&s.out, strings.TrimRight(fmt.Sprintf("%d> %s", i+1, strings.TrimSuffix(line, "\n")), " "))
		}
		if !strings.HasSuffix(stream, "\n") {
			fmt.Fprintf(&s.out, "%d> (without newline)\n", i+1)
		}
	}
	if r.status != 0 {
		fmt.Fprintln(&s.out, "exit", r.status)
	}
}

// command runs a command as it stands in a golden file.
func (s *transcript) command(t *testing.T, line string) result {
	t.Helper()
	words := splitWords(s.local.fillIn(line))
	stdin := ""
	if last := len(words) - 1; last >= 0 && strings.HasPrefix(words[last], "<") {
		text, err := os.ReadFile(words[last][1:])
		if err != nil {
			t.Fatal(err)
		}
		stdin, words = string(text), words[:last]
	}
	return s.local.runIn(t.Context(), s.environment, stdin, words...)
}

// fillIn puts directories in place of their names.
func (s localStore) fillIn(text string) string {
	return strings.NewReplacer("$DIR", s.files, "$ROOT", s.root, "$RUN", s.runRoot).Replace(text)
}

// splitWords splits a line in the way of a shell, as far as it is needed.
func splitWords(line string) []string {
	var words []string
	for _, match := range regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`).FindAllString(line, -1) {
		words = append(words, regexp.MustCompile(`'([^']*)'|"([^"]*)"`).ReplaceAllString(match, "$1$2"))
	}
	return words
}

// replaceAll replaces what differs from run to run.
func (s *transcript) replaceAll(text string) string {
	text = strings.NewReplacer(s.local.root, "$ROOT", s.local.runRoot, "$RUN", s.local.files, "$DIR", programVersion(), "<version>").Replace(text)
	for _, one := range []struct{ what, pattern string }{
		{"digest", `sha256:[0-9a-f]{64}`},
		{"id", `[0-9a-f]{64}`},
		{"time", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`},
	} {
		text = regexp.MustCompile(one.pattern).ReplaceAllStringFunc(text, func(found string) string {
			if one.what == "time" {
				return "<time>"
			}
			if s.known[found] == "" {
				s.known[found] = fmt.Sprintf("<%s-%d>", one.what, s.count(one.what)+1)
			}
			return s.known[found]
		})
	}
	return text
}

// shorten takes out usage and lists of options that were shown before.
func (s *transcript) shorten(text string) string {
	if s.brief {
		text = regexp.MustCompile(`(?s)Usage: .*?\nOptions:\n`).ReplaceAllString(text, "<usage>\n")
		return regexp.MustCompile(`\n(  --[^\n]*\n)+`).ReplaceAllString(text, "<options>\n")
	}
	for what, pattern := range map[string]string{
		"<usage as above>\n":   `(?s)Usage: .*?\nOptions:\n`,
		"<options as above>\n": `(?s)\n  --debug, -D.*?\n  --unshare[^\n]*\n`,
	} {
		text = regexp.MustCompile(pattern).ReplaceAllStringFunc(text, func(found string) string {
			if s.shown[found] {
				return what
			}
			s.shown[found] = true
			return found
		})
	}
	return text
}

// count returns how many words of a sort have been given away.
func (s *transcript) count(what string) (n int) {
	for _, word := range s.known {
		if strings.HasPrefix(word, "<"+what+"-") {
			n++
		}
	}
	return n
}
