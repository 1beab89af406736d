package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// programName is the name of the program, whatever it is called by.
const programName = "containers-storage"

// Usage goes to the standard output, and the list of options to the standard
// error, as scripts know it.

// printUsage prints what the program can do.
func (p *program) printUsage() {
	fmt.Fprintf(p.env.Stdout, "Usage: %s command [options [...]]\n\nCommands:\n\n", p.name)
	table := tabwriter.NewWriter(p.env.Stdout, 0, 0, 3, ' ', 0)
	for _, command := range p.app.Commands {
		fmt.Fprintf(table, "  %s\t%s\n", command.Name, command.Usage)
	}
	_ = table.Flush() // the error stays in the writer
	fmt.Fprintf(p.env.Stdout, "\nThe exit status is 0, or %d if something failed, or %d if a flag behind the\n"+
		"command's name is wrong or asks for help.\n\nOptions:\n", exitFailed, exitFlags)
}

// printCommandUsage prints what a command does, and its options.
func (p *program) printCommandUsage(command *urfave.Command) {
	words := []string{"Usage:", p.name, p.typed, "[options [...]]", command.ArgsUsage}
	fmt.Fprintf(p.env.Stdout, "%s\n\n%s.\n", strings.TrimSpace(strings.Join(words, " ")), command.Usage)
	if command.Description != "" {
		fmt.Fprintf(p.env.Stdout, "\n%s\n", strings.Trim(command.Description, "\n"))
	}
	fmt.Fprint(p.env.Stdout, "\nOptions:\n")
	p.printOptions(slices.Concat(p.app.Flags, command.Flags))
}

// printOptions prints a list of flags.
func (p *program) printOptions(flags []urfave.Flag) {
	fmt.Fprintf(p.env.Stderr, "\n%s", p.optionList(flags))
}

// optionList returns a line for each flag, sorted by their long names.
func (p *program) optionList(flags []urfave.Flag) string {
	flags = slices.SortedFunc(slices.Values(flags), func(a, b urfave.Flag) int {
		return strings.Compare(strings.ToLower(a.Names()[0]), strings.ToLower(b.Names()[0]))
	})
	var list strings.Builder
	table := tabwriter.NewWriter(&list, 0, 0, 3, ' ', 0)
	for _, flag := range flags {
		documented, ok := flag.(urfave.DocGenerationFlag)
		if !ok {
			continue
		}
		fmt.Fprintf(table, "  %s%s\t%s\n", flagNames(flag), p.defaultOf(documented), documented.GetUsage())
	}
	_ = table.Flush() // a strings.Builder does not fail
	return list.String()
}

// flagNames returns the names of a flag as they are typed.
func flagNames(flag urfave.Flag) string {
	names := slices.Clone(flag.Names())
	for i, name := range names {
		names[i] = cli.DashedName(name)
	}
	return strings.Join(names, ", ")
}

// defaultOf returns what the list of options says about the default of a flag.
func (p *program) defaultOf(flag urfave.DocGenerationFlag) string {
	value := flag.GetValue()
	if asked, ok := flag.(*urfave.BoolFlag); ok {
		value = strconv.FormatBool(asked.Value)
	}
	if value == "" || value == "false" || value == "0" {
		return ""
	}
	if home := p.env.Getenv("HOME"); len(home) > 1 && strings.HasPrefix(value, home+"/") {
		value = "~" + strings.TrimPrefix(value, home)
	}
	return "=" + value
}

// wrongGlobals reports an error in the flags before the command's name.
func (p *program) wrongGlobals(err error) int {
	help, isHelp := errors.AsType[*cli.HelpError](err)
	if isHelp && help.Word != "-h" {
		if help.Word == "-help" {
			fmt.Fprintln(p.env.Stderr, "Warning: '-help' is deprecated, use '--help' instead.")
		}
		p.printUsage()
		fmt.Fprintf(p.env.Stdout, "\n%s", p.optionList(p.app.Flags))
		return exitOK
	}
	// A letter can ask for help only behind a command's name. Before it, help
	// is given, and then it is an error like any other.
	if isHelp {
		p.printUsage()
	} else {
		p.printHint(err, p.name)
	}
	fmt.Fprintf(p.env.Stdout, "%v while parsing arguments (1)\n", err)
	p.printUsage()
	p.printOptions(p.app.Flags)
	return exitFailed
}

// wrongFlags reports an error in the flags behind the command's name.
func (p *program) wrongFlags(command *urfave.Command, err error) int {
	if _, isHelp := errors.AsType[*cli.HelpError](err); isHelp {
		p.printCommandUsage(command)
	} else {
		p.printHint(err, p.name+" "+p.typed)
	}
	return exitFlags
}

// printHint prints an error in the flags and where to find help.
func (p *program) printHint(err error, command string) {
	fmt.Fprintf(p.env.Stderr, "%v\nSee '%s --help'.\n", err, command)
}
