package main

import (
	"context"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// layerCommands returns the commands about layers.
func (p *program) layerCommands() []*urfave.Command {
	return slices.Concat([]*urfave.Command{
		p.createLayerCommand(),
		p.importLayerCommand(),
		p.layersCommand(),
		showCommand(p, model.KindLayer, &show[layerRecord]{read: readLayer, write: printLayer}),
		p.layerOwnersCommand(),
		p.createStorageLayerCommand(),
		p.storageLayersCommand(),
	}, p.dataCommands(model.KindLayer))
}

// newLayer has the flags of the commands that make a layer.
type newLayer struct {
	identity
	mapping

	label          string
	readOnly, json bool
}

func (o *newLayer) flags() []urfave.Flag {
	return slices.Concat(o.identity.flags(), o.mapping.flags(), []urfave.Flag{
		&urfave.StringFlag{Name: "label", Aliases: []string{"l"}, Usage: "SELinux label for mounts", Destination: &o.label},
		&urfave.BoolFlag{Name: "readonly", Aliases: []string{"r"}, Usage: "the layer is not going to be written to", Destination: &o.readOnly},
		jsonFlag(&o.json),
	})
}

// spec says what the new layer shall be.
func (o *newLayer) spec(parent model.LayerID) graph.LayerSpec {
	return graph.LayerSpec{
		ID: model.LayerID(o.id), Parent: parent, Names: o.names, MountLabel: o.label, Writable: !o.readOnly,
	}
}

// print prints the new layer.
func (o *newLayer) print(s *session, l *model.Layer) error {
	if o.json {
		return cli.WriteJSON(s.Stdout, newLayerRecord(l, nil))
	}
	s.printCreated(l.ID, l.Names)
	return nil
}

// layerOf returns the ID of the layer that ref means, which may be none.
func layerOf(tx *graph.ReadTx, ref string) (model.LayerID, error) {
	if ref == "" {
		return "", nil
	}
	l, err := tx.Layer(ref)
	if err != nil {
		return "", err
	}
	return l.ID, nil
}

type createLayer struct{ newLayer }

func (p *program) createLayerCommand() *urfave.Command {
	o := &createLayer{newLayer{mapping: newMapping()}}
	return p.command(urfave.Command{
		Name: "create-layer", Aliases: []string{"createlayer"},
		Usage: "Make an empty layer", ArgsUsage: "[parentLayerNameOrID]",
		Description: `
Without a parent the layer is a base layer. The ID is printed, and then the
names.

Examples:

  containers-storage create-layer --name base
  containers-storage create-layer --id 4f2a --name app base`,
		Flags: o.flags(),
	}, arity{0, 1}, o)
}

func (o *createLayer) run(ctx context.Context, s *session, args []string) error {
	var l *model.Layer
	err := s.store.Update(ctx, func(tx *graph.Tx) error {
		parent, err := layerOf(&tx.ReadTx, optional(args))
		if err != nil {
			return err
		}
		l, err = tx.CreateLayer(o.spec(parent))
		return err
	})
	if err != nil {
		return err
	}
	return o.print(s, l)
}
