package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// TestEveryCommandHasItsCases runs one golden file for each command there is. In
// each are sections, which begin with the comments below; a section that is
// missing, or does not show what it is about, is an error.
func TestEveryCommandHasItsCases(t *testing.T) {
	t.Parallel()
	const dir = "testdata/commands"
	var known []string
	for _, command := range reference().app.Commands {
		file := filepath.Join(dir, command.Name+".golden")
		known = append(known, file)
		t.Run(command.Name, func(t *testing.T) {
			t.Parallel()
			s := newTranscript(t)
			s.brief = true
			checkGolden(t, file, s)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range missingCases(command, string(text)) {
				t.Errorf("%s: %s", file, problem)
			}
		})
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.Contains(known, file) {
			t.Errorf("%s is of no command", file)
		}
	}
}

// elsewhere are commands that cannot succeed on the store of a golden file, and
// the tests in which they do.
var elsewhere = map[string]func(*testing.T){
	"applydiff-using-staging-dir": TestScriptFillsALayerFromADirectory,
}

// shownCommand is a command of a golden file, and what came of it.
type shownCommand struct {
	words  []string
	output string
	status string // "" for success
}

// missingCases compares the sections of a golden file with those that a command
// needs.
func missingCases(command *urfave.Command, golden string) (problems []string) {
	sections := sectionsOf(command, golden)
	silent := command.Name == "copy" // takes the flag without effect
	hasJSON := slices.ContainsFunc(command.Flags, func(f urfave.Flag) bool { return f.Names()[0] == "json" })
	takesObjects := strings.Contains(command.ArgsUsage, "OrID") || strings.Contains(command.ArgsUsage, "LayerID")
	for _, section := range []struct {
		title  string
		needed bool
		shows  func(shownCommand) bool
	}{
		{"An empty store", true, func(shownCommand) bool { return true }},
		{"Success", elsewhere[command.Name] == nil, func(c shownCommand) bool { return c.status == "" && !asksForJSON(c) }},
		{"JSON", hasJSON, func(c shownCommand) bool {
			return c.status == "" && asksForJSON(c) && silent != strings.Contains(c.output, "1> ")
		}},
		{"What does not exist", takesObjects, func(c shownCommand) bool {
			return c.status == "1" && strings.Contains(strings.Join(c.words, " "), "nosuch")
		}},
		{"Several arguments", true, func(c shownCommand) bool {
			return len(arguments(command, c)) > 1 || strings.Contains(c.output, "too many arguments")
		}},
		{"A flag that does not exist", true, func(c shownCommand) bool { return c.status == "125" }},
	} {
		if section.needed && !slices.ContainsFunc(sections[section.title], section.shows) {
			problems = append(problems, fmt.Sprintf("nothing in the section %q shows that", section.title))
		}
	}
	return problems
}

// sectionsOf returns the uses of a command in a golden file by the titles of the
// sections.
func sectionsOf(command *urfave.Command, golden string) map[string][]shownCommand {
	sections := make(map[string][]shownCommand)
	title, current := "", (*shownCommand)(nil)
	for line := range strings.Lines(golden) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case kind == "#":
			title, _, _ = strings.Cut(rest, ".")
		case kind == "$":
			words := splitWords(rest)
			current = nil
			if slices.Contains(command.Names(), words[0]) {
				sections[title] = append(sections[title], shownCommand{words: words})
				current = &sections[title][len(sections[title])-1]
			}
		case current == nil:
		case kind == "exit":
			current.status = rest
		default:
			current.output += line
		}
	}
	return sections
}

func asksForJSON(c shownCommand) bool {
	return slices.Contains(c.words, "-j") || slices.Contains(c.words, "--json")
}

// arguments returns the words that are neither the name of the command nor flags.
func arguments(command *urfave.Command, c shownCommand) []string {
	p := reference()
	line, err := cli.NewSyntax(slices.Concat(p.app.Flags, command.Flags)...).Parse(c.words[1:])
	if err != nil {
		return nil
	}
	return line.Args
}

func TestMissingCasesAreNoticed(t *testing.T) {
	t.Parallel()
	p := reference()
	file, err := os.ReadFile("testdata/commands/layer.golden")
	if err != nil {
		t.Fatal(err)
	}
	command, golden := p.app.Command("layer"), string(file)
	if problems := missingCases(command, golden); problems != nil {
		t.Fatal(problems)
	}
	for old, replacement := range map[string]string{
		"# An empty store.":             "# Nothing.",
		"$ layer b\n":                   "$ image b\n",
		"# JSON.":                       "# Text.",
		"# What does not exist.":        "# Nothing.",
		"# Several arguments.":          "# One argument.",
		"exit 125":                      "exit 1",
		"# A flag that does not exist.": "# None.",
	} {
		changed := strings.ReplaceAll(golden, old, replacement)
		if old == "$ layer b\n" {
			changed = strings.ReplaceAll(changed, "$ layer base child\n", "$ images\n")
		}
		if problems := missingCases(command, changed); len(problems) != 1 {
			t.Errorf("with %q in place of %q: %q", replacement, old, problems)
		}
	}
}
