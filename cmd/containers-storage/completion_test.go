package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// completionPaths are where the scripts of the shells are below the directory
// of documents; the shells know them by these names.
var completionPaths = map[string]string{
	"bash": "completion/bash/containers-storage",
	"zsh":  "completion/zsh/_containers-storage",
	"fish": "completion/fish/containers-storage.fish",
}

func TestCompletionsAreThoseOfTheHelp(t *testing.T) {
	t.Parallel()
	want := make(map[string]string)
	for shell, path := range completionPaths {
		want[path] = completionFor(t, shell)
	}
	checkDocs(t, "completion/*/*containers-storage*", want)
}

// completionFor returns the script for a shell.
func completionFor(t *testing.T, shell string) string {
	t.Helper()
	functions := template.FuncMap{
		"join": strings.Join, "options": dashedNames, "values": valueNames, "kinds": kindsOfArguments,
		"quote": quoted, "zshFlag": zshFlag, "zshArguments": zshArguments, "fishFlag": fishFlag,
	}
	script, err := template.New(shell).Funcs(functions).ParseFiles("testdata/completion/" + shell)
	if err != nil {
		t.Fatal(err)
	}
	p := reference()
	var names, aliases []string
	for _, command := range p.app.Commands {
		names = append(names, command.Name)
		aliases = append(aliases, command.Aliases...)
	}
	var text strings.Builder
	err = script.Execute(&text, map[string]any{"Globals": p.app.Flags, "Commands": p.app.Commands, "Names": names, "Aliases": aliases})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// dashedNames returns the names of a flag as they are typed.
func dashedNames(flag urfave.Flag) string { return strings.Join(allDashed(flag), " ") }

func allDashed(flag urfave.Flag) (names []string) {
	for _, name := range flag.Names() {
		names = append(names, cli.DashedName(name))
	}
	return names
}

// valueNames returns the names of those of the flags that take a value.
func valueNames(flags []urfave.Flag) string {
	var names []string
	for _, flag := range flags {
		if takesValue(flag) {
			names = append(names, allDashed(flag)...)
		}
	}
	return strings.Join(names, " ")
}

// kindsOfArguments returns the kinds of object that the arguments of a command
// can be, by what the help calls them.
func kindsOfArguments(command *urfave.Command) (kinds []string) {
	if !strings.Contains(command.ArgsUsage, "NameOrID") || command.Name == "copy" {
		return nil
	}
	for _, kind := range model.Kinds {
		if strings.Contains(strings.ToLower(command.ArgsUsage), string(kind)) {
			kinds = append(kinds, string(kind))
		}
	}
	return kinds
}

// quoted returns a text in a form that zsh and fish take for itself.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func zshFlag(flag urfave.Flag) string {
	text := "[" + strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(meaning(flag)) + "]"
	if takesValue(flag) {
		text += ":value:_files"
	}
	names := allDashed(flag)
	if len(names) == 1 {
		return quoted("*" + names[0] + text)
	}
	return fmt.Sprintf("'*'{%s}%s", strings.Join(names, ","), quoted(text))
}

func zshArguments(command *urfave.Command) string {
	if kinds := kindsOfArguments(command); kinds != nil {
		return quoted("*:object:_containers-storage_objects " + strings.Join(kinds, " "))
	}
	return quoted("*:argument:_files")
}

func fishFlag(flag urfave.Flag) string {
	var words []string
	for _, name := range flag.Names() {
		if len(name) == 1 {
			words = append(words, "-s "+name)
		} else {
			words = append(words, "-l "+name)
		}
	}
	if takesValue(flag) {
		words = append(words, "-r")
	}
	return strings.Join(append(words, "-d "+quoted(meaning(flag))), " ")
}

// fakeCSDB completes objects, and shows how it was asked.
const fakeCSDB = `#!/bin/sh
echo "$*" >>"${0%/*}/asked"
for kind; do case $kind in
layer) echo base; echo app ;;
image) echo 'docker.io/app\:1'; echo abc ;;
container) echo web ;;
esac; done
`

func TestBashCompletesCommandLines(t *testing.T) {
	t.Parallel()
	testutil.NeedTool(t, "bash")
	dir := t.TempDir()
	script, fake := filepath.Join(dir, "script"), filepath.Join(dir, "csdb")
	writeFile(t, script, completionFor(t, "bash"))
	writeFile(t, fake, fakeCSDB)
	if err := os.Chmod(fake, 0o755); err != nil {
		t.Fatal(err)
	}
	const run = `set -u; source "$1"; COMP_LINE=$2; IFS='|' read -ra COMP_WORDS <<<"$2"; [[ $2 != *'|' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _containers_storage; printf '%s\n' "${COMPREPLY[@]}"`
	for _, test := range []struct {
		line string // words separated by bars, in the way in which bash separates them
		want string
	}{
		{"containers-storage|wi", "wipe"},
		{"containers-storage|--graph|/x|createl", "createlayer"},
		{"containers-storage|-D|create-", "create-layer create-storage-layer create-image create-container"},
		{"containers-storage|--st", "--storage-driver --storage-opt"},
		{"containers-storage|--graph|", ""},
		{"containers-storage|delete-image|", "docker.io/app:1 abc"},
		{"containers-storage|delete-image|docker.io/app|:", "1"},
		{"containers-storage|deleteimage|a", "abc"},
		{"containers-storage|mount|", "base app web"},
		{"containers-storage|mount|--re", "--read-only"},
		{"containers-storage|mount|--label|x|b", "base"},
		{"containers-storage|import-layer|-f|", ""},
		{"containers-storage|layers|", ""},
		{"containers-storage|copy|", ""},
		{"containers-storage|exists|-g|=|/y|-R|/z|w", "web"},
	} {
		output, err := exec.CommandContext(t.Context(), "env", "PATH="+dir+":"+os.Getenv("PATH"), "bash", "-c", run, "bash", script, test.line).CombinedOutput()
		if diff := cmp.Diff(strings.Fields(test.want), strings.Fields(string(output))); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.line, err, diff)
		}
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if all := lines(string(asked)); err != nil || all[len(all)-1] != "-g /y -R /z inspect --kind container --generate-bash-completion" {
		t.Errorf("csdb was asked %q, %v", all, err)
	}
}

func TestShellsUnderstandTheirCompletions(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{
		"zsh":  "'*'{--graph,-g}'[root directory of what is to last]:value:_files'",
		"fish": "complete -c $program -n '__fish_seen_subcommand_from applydiff apply-diff' -l file -s f -r -d 'read from a file",
	} {
		script := completionFor(t, shell)
		if !strings.Contains(script, want) {
			t.Errorf("the completion of %s has no %q", shell, want)
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("no %s: %v", shell, err)
			continue
		}
		check := exec.CommandContext(t.Context(), shell, "-n")
		check.Stdin = strings.NewReader(script)
		if output, err := check.CombinedOutput(); err != nil || len(output) > 0 {
			t.Errorf("%s: %v: %s", shell, err, output)
		}
	}
}

func TestFishCompletesCommandLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("fish"); err != nil {
		t.Skipf("needs fish: %v", err)
	}
	dir := t.TempDir()
	script, fake := filepath.Join(dir, "script"), filepath.Join(dir, "csdb")
	writeFile(t, script, completionFor(t, "fish"))
	writeFile(t, fake, fakeCSDB)
	if err := os.Chmod(fake, 0o755); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"containers-storage wip":                      "wipe",
		"oci-storage --graph /x delete-image ":        "abc docker.io/app:1",
		"containers-storage unmount --fo":             "--force",
		"containers-storage -R /run delete-container": "delete-container",
	} {
		command := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line)
		command.Env = append(command.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
		output, err := command.Output()
		var got []string
		for _, answer := range lines(string(output)) {
			word, _, _ := strings.Cut(answer, "\t")
			got = append(got, word)
		}
		slices.Sort(got)
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", line, err, diff)
		}
	}
}
