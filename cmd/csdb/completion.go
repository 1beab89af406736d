package main

import (
	"context"
	"embed"
	"fmt"

	urfave "github.com/urfave/cli/v2"
)

//go:embed completion
var completions embed.FS

type completion struct{ fish func() (string, error) }

func (p *program) completionCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "completion", Usage: "write a script that lets a shell complete command lines", ArgsUsage: "bash|zsh|fish",
		Description: `
Writes a script for the given shell, to be read when the shell starts. Besides
commands and flags, the names and IDs of the objects in the store are completed,
also as values of flags, but for names that a shell would have to quote.

Examples:

  csdb completion bash >/etc/bash_completion.d/csdb
  csdb completion zsh >"${fpath[1]}/_csdb"
  csdb completion fish >~/.config/fish/completions/csdb.fish`,
	}, arity{1, 1}, &completion{fish: func() (string, error) { return p.app().ToFishCompletion() }})
}

func (o *completion) run(_ context.Context, s *session, args []string) error {
	if args[0] == "fish" {
		script, err := o.fish()
		if err != nil {
			return err
		}
		fmt.Fprint(s.Stdout, script)
	}
	script, err := completions.ReadFile("completion/" + args[0])
	if err != nil {
		return &usageError{command: "completion", err: fmt.Errorf("%q is none of bash, zsh and fish", args[0])}
	}
	_, err = s.Stdout.Write(script)
	return err
}
