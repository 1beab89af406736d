package main

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
)

type gc struct{ json bool }

func (p *program) gcCommand() *urfave.Command {
	o := &gc{}
	return p.command(urfave.Command{
		Name:  "gc",
		Usage: "Remove what was left when something could not be finished",
		Description: `
What has a record stays, and so does what somebody is at work on. Mounts stay
too. To delete images that nobody uses, see csdb gc.

Example:

  containers-storage gc`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func (o *gc) run(ctx context.Context, s *session, _ []string) error {
	if _, err := s.store.Collect(ctx, graph.GCOptions{}); err != nil {
		return fmt.Errorf("gc: %w", err)
	}
	if o.json {
		return cli.WriteJSON(s.Stdout, "")
	}
	return nil
}
