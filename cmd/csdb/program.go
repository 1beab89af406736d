package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// version is set by the linker. Where it is empty the build information of the
// program has the version.
var version string

// program is one run of the program.
type program struct {
	cli.Env
	settings settings
	words    []string // the command line
}

// run runs the command that args ask for, the program's own name first, and
// returns the exit status.
func run(ctx context.Context, env cli.Env, args []string) int {
	stdout := cli.NewWriter(env.Stdout)
	env.Stdout = stdout
	p := &program{Env: env, words: args, settings: configured(env)}
	err := p.app().RunContext(ctx, args)
	if errWrite := stdout.Err(); errWrite != nil {
		err = errors.Join(err, errWrite)
	}
	return p.report(err)
}

// app returns the program with all its commands.
func (p *program) app() *urfave.App {
	app := &urfave.App{
		Name:        "csdb",
		Usage:       "look into a container store, and check it",
		Version:     programVersion(),
		Description: strings.TrimSpace(description),
		Flags:       p.settings.flags(),
		Commands:    p.commands(),
		Reader:      p.Stdin, Writer: p.Stdout, ErrWriter: p.Stderr,
		EnableBashCompletion:  true,
		HideHelpCommand:       true,
		CustomAppHelpTemplate: appHelp,
		// How it ends is our business.
		ExitErrHandler: func(*urfave.Context, error) {},
		OnUsageError:   onUsageError,
		Action: func(c *urfave.Context) error {
			if c.Args().Present() {
				return &usageError{err: fmt.Errorf("there is no command %q", c.Args().First())}
			}
			return urfave.ShowAppHelp(c)
		},
	}
	app.Setup()
	return app
}

// commands returns all commands in the order in which the help lists them.
func (p *program) commands() []*urfave.Command {
	return []*urfave.Command{
		p.infoCommand(), p.lsCommand(), p.inspectCommand(), p.refsCommand(), p.treeCommand(), p.duCommand(), p.logCommand(), p.topCommand(),
		p.fsckCommand(), p.reportCommand(), p.repairCommand(), p.backupCommand(), p.restoreCommand(), p.rescueCommand(), p.compactCommand(), p.gcCommand(),
		p.leaseCommand(), p.holdCommand(), p.dbCommand(),
		p.configCommand(), p.completionCommand(), p.docsCommand(),
	}
}

// action is what a command does. Its fields are the command's flags.
type action interface {
	run(ctx context.Context, s *session, args []string) error
}

// storeless is implemented by actions that need not know where the store is.
type storeless interface{ storeless() }

func (*completion) storeless() {}
func (*docs) storeless()       {}
func (*noCommand) storeless()  {}
func (*showConfig) storeless() {}

// arity is how many arguments a command takes; a negative maximum means any
// number.
type arity struct{ min, max int }

// command completes the description of a command with what it does.
func (p *program) command(c urfave.Command, takes arity, a action) *urfave.Command {
	c.Description = strings.TrimSpace(c.Description)
	c.CustomHelpTemplate = commandHelp
	c.OnUsageError = onUsageError
	c.HideHelpCommand = true
	c.Flags = append(slices.Clip(c.Flags), &urfave.BoolFlag{Name: "json", Usage: "write JSON", DisableDefaultText: true})
	c.BashComplete = p.complete(&c, a)
	c.Action = func(u *urfave.Context) error {
		args := u.Args().Slice()
		if err := errors.Join(takes.check(args), p.settings.complete()); err != nil {
			return &usageError{command: commandName(u), err: err}
		}
		if _, ok := a.(storeless); !ok {
			if err := p.settings.located(); err != nil {
				return err
			}
		}
		return a.run(u.Context, &session{Env: p.Env, settings: p.settings, json: wantsJSON(u), flagged: u.IsSet}, args)
	}
	return &c
}

// wantsJSON tells whether the flag stands before or behind the command's name.
func wantsJSON(u *urfave.Context) bool {
	return slices.ContainsFunc(u.Lineage(), func(c *urfave.Context) bool { return c.Bool("json") })
}

func (a arity) check(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			return fmt.Errorf("flag %s must stand before the arguments", arg)
		}
	}
	switch {
	case len(args) < a.min:
		return errors.New("an argument is missing")
	case a.max >= 0 && len(args) > a.max:
		return fmt.Errorf("argument %q is one too many", args[a.max])
	}
	return nil
}

// usageError says that a command line makes no sense.
type usageError struct {
	command string // "" if it is not known
	err     error
}

// Error says what is wrong, and where to read on.
func (e *usageError) Error() string {
	words := slices.DeleteFunc([]string{"csdb", e.command, "--help"}, func(word string) bool { return word == "" })
	return fmt.Sprintf("%v; see %q", e.err, strings.Join(words, " "))
}

// Unwrap returns what is wrong.
func (e *usageError) Unwrap() error { return e.err }

// onUsageError is what urfave/cli calls with its own errors.
func onUsageError(c *urfave.Context, err error, _ bool) error {
	return &usageError{command: commandName(c), err: err}
}

// commandName returns the words that name a command, "" if it is not known.
func commandName(c *urfave.Context) string {
	if c.Command == nil {
		return ""
	}
	_, name, _ := strings.Cut(c.Command.HelpName, " ")
	return name
}
