package main

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

type shutdown struct{ force, json bool }

func (p *program) shutdownCommand() *urfave.Command {
	o := &shutdown{}
	return p.command(urfave.Command{
		Name:  "shutdown",
		Usage: "Undo what the store did to the system",
		Description: `
While layers are mounted that is refused, unless they are to be unmounted.

Example:

  containers-storage shutdown --force`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "unmount all layers first", Destination: &o.force},
			jsonFlag(&o.json),
		},
	}, arity{0, 0}, o)
}

func (o *shutdown) run(ctx context.Context, s *session, _ []string) error {
	_, err := s.store.Shutdown(ctx, o.force)
	return s.printOutcome("shutdown", o.json, err)
}

// printOutcome prints the outcome of a command that has no output: in JSON it
// has, and the error goes without text.
func (s *session) printOutcome(command string, asJSON bool, err error) error {
	switch {
	case asJSON && err != nil:
		if errJSON := cli.WriteJSON(s.Stdout, struct{}{}); errJSON != nil {
			return errJSON
		}
		return errReported
	case asJSON:
		return cli.WriteJSON(s.Stdout, "")
	case err != nil:
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

type wipe struct{ json bool }

func (p *program) wipeCommand() *urfave.Command {
	o := &wipe{}
	return p.command(urfave.Command{
		Name:  "wipe",
		Usage: "Delete all containers, images and layers",
		Description: `
What is mounted is unmounted. There is no question whether that is meant.

Example:

  containers-storage wipe`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func (o *wipe) run(ctx context.Context, s *session, _ []string) error {
	return s.printOutcome("wipe", o.json, s.store.Wipe(ctx))
}
