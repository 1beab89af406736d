package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

type exists struct{ layer, image, container, quiet, json bool }

func (p *program) existsCommand() *urfave.Command {
	o := &exists{}
	return p.command(urfave.Command{
		Name:  "exists",
		Usage: "Tell whether layers, images or containers exist", ArgsUsage: anyObject + " [...]",
		Description: `
For each argument "true" or "false" is printed, whatever kinds are asked for.
The exit status is 0 only if all of them exist and are of every kind that is
asked for.

Examples:

  containers-storage exists app
  containers-storage exists --quiet --image registry.example/app:1`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "layer", Aliases: []string{"l"}, Usage: "each has to be a layer", Destination: &o.layer},
			&urfave.BoolFlag{Name: "image", Aliases: []string{"i"}, Usage: "each has to be an image", Destination: &o.image},
			&urfave.BoolFlag{Name: "container", Aliases: []string{"c"}, Usage: "each has to be a container", Destination: &o.container},
			&urfave.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing", Destination: &o.quiet},
			jsonFlag(&o.json),
		},
	}, arity{1, unlimited}, o)
}

func (o *exists) run(ctx context.Context, s *session, args []string) error {
	found, all := make(map[string]bool), true
	err := s.store.View(ctx, func(tx *graph.ReadTx) error {
		for _, ref := range args {
			exists, err := isFound(tx, ref)
			if err != nil {
				return err
			}
			found[ref], all = exists, all && exists
			for _, kind := range o.kinds() {
				exists, err := isFound(tx, ref, kind)
				if err != nil {
					return err
				}
				all = all && exists
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := o.print(s, model.UniqueNames(args...), found); err != nil {
		return err
	}
	if !all {
		return errReported
	}
	return nil
}

// kinds returns the kinds that each object has to be of.
func (o *exists) kinds() []model.Kind {
	wanted := map[model.Kind]bool{model.KindLayer: o.layer, model.KindImage: o.image, model.KindContainer: o.container}
	return slices.DeleteFunc(slices.Clone(model.Kinds), func(kind model.Kind) bool { return !wanted[kind] })
}

func (o *exists) print(s *session, refs []string, found map[string]bool) error {
	switch {
	case o.json:
		return cli.WriteJSON(s.Stdout, found)
	case o.quiet:
		return nil
	}
	for _, ref := range refs {
		fmt.Fprintf(s.Stdout, "%s: %t\n", ref, found[ref])
	}
	return nil
}

// isFound tells whether there is an object of one of the kinds, or of any.
func isFound(tx *graph.ReadTx, ref string, kinds ...model.Kind) (bool, error) {
	_, err := tx.Find(ref, kinds...)
	if errors.Is(err, model.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
