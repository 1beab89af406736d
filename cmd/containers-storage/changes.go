package main

import (
	"context"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// diffCommands returns the commands that compare layers.
func (p *program) diffCommands() []*urfave.Command {
	return []*urfave.Command{p.changesCommand(), p.diffCommand(), p.diffSizeCommand(), p.applyDiffCommand(), p.applyDirectoryCommand()}
}

// twoLayers is how the usage calls the arguments of commands that compare
// layers.
const twoLayers = "layerNameOrID [referenceLayerNameOrID]"

// pair returns the layer that the first argument means, and the ID of the one to
// compare it with, which is "" for its parent.
func (s *session) pair(ctx context.Context, args []string) (layer *model.Layer, from model.LayerID, err error) {
	err = s.store.View(ctx, func(tx *graph.ReadTx) error {
		if layer, err = tx.Layer(args[0]); err != nil {
			return err
		}
		from, err = layerOf(tx, optional(args[1:]))
		return err
	})
	return layer, from, err
}

type changes struct{ json bool }

func (p *program) changesCommand() *urfave.Command {
	o := &changes{}
	return p.command(urfave.Command{
		Name:  "changes",
		Usage: "List the changes that make a layer out of another", ArgsUsage: twoLayers,
		Description: `
The layer is compared with the reference, or else with its parent.

Example:

  containers-storage changes app`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{1, 2}, o)
}

// changeRecord is a change as scripts know it.
type changeRecord struct {
	Path string
	Kind model.ChangeKind
}

func (o *changes) run(ctx context.Context, s *session, args []string) error {
	layer, from, err := s.pair(ctx, args)
	if err != nil {
		return err
	}
	changes, err := s.store.Changes(ctx, layer.ID, from)
	if err != nil {
		return err
	}
	return s.buffered(func(s *session) error {
		if o.json {
			records := slices.Grow([]changeRecord(nil), len(changes)) // nil, in JSON null, if there are none
			for _, change := range changes {
				records = append(records, changeRecord(change))
			}
			return cli.WriteJSON(s.Stdout, records)
		}
		for _, change := range changes {
			fmt.Fprintf(s.Stdout, "%s %q\n", change.Kind, change.Path)
		}
		return nil
	})
}

type diffSize struct{}

func (p *program) diffSizeCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "diffsize", Aliases: []string{"diff-size"},
		Usage: "Print the size of the changes that make a layer out of another", ArgsUsage: twoLayers,
		Description: `
The layer is compared with the reference, or else with its parent. The size is
that of the content of files that were added or modified, in bytes.

Example:

  containers-storage diffsize app`,
	}, arity{1, 2}, diffSize{})
}

func (diffSize) run(ctx context.Context, s *session, args []string) error {
	layer, from, err := s.pair(ctx, args)
	if err != nil {
		return err
	}
	size, err := s.store.DiffSize(ctx, layer.ID, from)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Stdout, size)
	return nil
}
