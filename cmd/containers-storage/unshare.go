package main

import (
	"context"
	"io"
	"os/exec"

	"github.com/sirupsen/logrus"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/userns"
)

// namespaced is implemented by actions that are for user namespaces: whoever
// runs them gets one.
type namespaced interface{ namespaced() }

// wantsNamespace tells whether a user namespace has yet to be made for a
// command.
func (p *program) wantsNamespace(a action) bool {
	if p.settings.user == userns.Inside {
		return false
	}
	return p.settings.unshare || p.needsNamespace(a)
}

// needsNamespace tells whether a command is not to be run without a user
// namespace. Without being asked for, one is tried: some machines have none, and
// the driver vfs goes without.
func (p *program) needsNamespace(a action) bool {
	_, always := a.(namespaced)
	return always || (p.settings.unshare && p.settings.flagged("unshare"))
}

// runInNamespace runs the whole program once more, in a user namespace. Its exit
// status is that of this program.
func (p *program) runInNamespace(ctx context.Context, log *logrus.Logger) error {
	status, err := userns.Program{
		Args: p.args, Stdin: p.env.Stdin, Stdout: unwrapped(p.env.Stdout), Stderr: p.env.Stderr,
		Warn: func(text string) { p.settings.loud(log).Warn(text) },
	}.Run(ctx)
	if err != nil {
		return err
	}
	if status != exitOK {
		return statusError(status)
	}
	return nil
}

// unwrapped returns what a program is to write to, which may be a terminal.
func unwrapped(w io.Writer) io.Writer {
	if wrapped, ok := w.(*cli.Writer); ok {
		return wrapped.Unwrap()
	}
	return w
}

type unshare struct{}

func (p *program) unshareCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name:  "unshare",
		Usage: "Run a program in a user namespace", ArgsUsage: "[program [argument [...]]]",
		Description: `
In the namespace the user is root, and the IDs that /etc/subuid and /etc/subgid
have for the user follow. Every command of other users than root is run in such a
namespace, so that what it mounts can be seen in that one only: a script that
mounts has to be run as a whole by this command. Without a program it is the
shell that $SHELL names.

Examples:

  containers-storage unshare
  containers-storage unshare sh -c 'ls "$(containers-storage mount app)"'`,
	}, arity{0, unlimited}, unshare{})
}

func (unshare) namespaced() {}

func (unshare) run(ctx context.Context, s *session, args []string) error {
	if len(args) == 0 {
		shell := s.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		args = []string{shell}
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = s.Stdin, unwrapped(s.Stdout), s.Stderr
	return userns.Attend(ctx, command, nil)
}
