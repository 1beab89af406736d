package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// The exit statuses. There is no other one.
const (
	exitOK     = 0
	exitFailed = 1   // the command failed, or there is no such command
	exitFlags  = 125 // a flag behind the command's name is wrong, or asks for help
)

// program is one run of the program.
type program struct {
	env      cli.Env
	args     []string // all that it was called with
	name     string   // by which it was called
	typed    string   // the name of the command, as it was typed
	settings settings
	app      *urfave.App
}

// run runs the command that args ask for, the program's own name first, and
// returns the exit status.
func run(ctx context.Context, env cli.Env, args []string) int {
	stdout := cli.NewWriter(env.Stdout)
	env.Stdout = stdout
	p := newProgram(env, append(slices.Clone(args), "")[0])
	p.args = args
	status := p.run(ctx, args[min(1, len(args)):])
	if err := stdout.Err(); err != nil {
		fmt.Fprintln(env.Stderr, err)
		return max(status, exitFailed)
	}
	return status
}

func newProgram(env cli.Env, called string) *program {
	p := &program{env: env, name: programName, settings: configured(env)}
	if base := filepath.Base(called); called != "" {
		p.name = base
	}
	p.app = &urfave.App{
		Name:      p.name,
		Flags:     p.settings.flags(),
		Writer:    env.Stdout,
		ErrWriter: env.Stderr,
		Reader:    env.Stdin,
		// Help is ours, and so are the exit statuses.
		HideHelp:       true,
		HideVersion:    true,
		ExitErrHandler: func(*urfave.Context, error) {},
	}
	p.app.Commands = p.commands()
	return p
}

// run reads the command line, lets urfave/cli run the command with the words in
// a form that has one meaning only, and returns the exit status.
func (p *program) run(ctx context.Context, words []string) int {
	globals, err := cli.NewSyntax(p.app.Flags...).Parse(words)
	if err != nil {
		return p.wrongGlobals(err)
	}
	if len(globals.Args) == 0 {
		p.printUsage()
		p.printOptions(p.app.Flags)
		return exitFailed
	}
	p.typed = globals.Args[0]
	command := p.app.Command(p.typed)
	if command == nil {
		fmt.Fprintf(p.env.Stdout, "%s: unrecognized command.\n", p.typed)
		return exitFailed
	}
	line, err := cli.NewSyntax(slices.Concat(p.app.Flags, command.Flags)...).Parse(globals.Args[1:])
	if err != nil {
		return p.wrongFlags(command, err)
	}
	return p.exitStatus(p.app.RunContext(ctx, p.canonical(globals, line)))
}

// canonical joins the flags before and behind the command's name: global ones
// go to the front, in their order.
func (p *program) canonical(globals, line cli.Line) []string {
	own := cli.Line{Args: line.Args}
	words := []string{p.name}
	for _, setting := range slices.Concat(globals.Settings, line.Settings) {
		if isFlagOf(p.app.Flags, setting.Name) {
			words = append(words, setting.Words()...)
		} else {
			own.Settings = append(own.Settings, setting)
		}
	}
	return slices.Concat(words, []string{p.typed}, own.Words())
}

func isFlagOf(flags []urfave.Flag, name string) bool {
	return slices.ContainsFunc(flags, func(f urfave.Flag) bool { return f.Names()[0] == name })
}

// errReported means that a command has failed and has said why.
var errReported = errors.New("reported")

// statusError says with which status a program has ended that was run in the place
// of this one.
type statusError int

// Error tells the status.
func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// openError says that the store could not be opened.
type openError struct{ err error }

// Error returns the reason.
func (e *openError) Error() string { return "error initializing: " + e.err.Error() }

// Unwrap returns the reason.
func (e *openError) Unwrap() error { return e.err }

// exitStatus reports how a command ended and returns the exit status.
func (p *program) exitStatus(err error) int {
	_, isOpenError := errors.AsType[*openError](err)
	status, isStatus := errors.AsType[statusError](err)
	switch {
	case err == nil:
		return exitOK
	case isStatus:
		return int(status)
	case errors.Is(err, errReported):
	case isOpenError:
		fmt.Fprintln(p.env.Stdout, oneLine(err))
	default:
		fmt.Fprintln(p.env.Stderr, oneLine(err))
	}
	return exitFailed
}

// oneLine returns the text of an error in one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
