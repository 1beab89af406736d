package main

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"
)

type mounted struct{ json bool }

func (p *program) mountedCommand() *urfave.Command {
	o := &mounted{}
	return p.command(urfave.Command{
		Name:  "mounted",
		Usage: "Tell which containers or layers are mounted", ArgsUsage: "containerOrLayerNameOrID [...]",
		Description: `
A line is printed for each that is mounted.

Example:

  containers-storage mounted web`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{1, unlimited}, o)
}

func (o *mounted) run(ctx context.Context, s *session, args []string) error {
	return s.eachMount(args, o.json, "checking if %s is mounted", func(ref string) error {
		count, err := s.store.Mounted(ctx, ref)
		if count > 0 {
			fmt.Fprintf(s.Stdout, "%s mounted\n", ref)
		}
		return err
	})
}
