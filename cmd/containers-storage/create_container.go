package main

import (
	"context"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// containerCommands returns the commands about containers.
func (p *program) containerCommands() []*urfave.Command {
	return slices.Concat([]*urfave.Command{
		p.createContainerCommand(),
		p.containersCommand(),
		showCommand(p, model.KindContainer, &show[containerRecord]{read: readContainer, write: printContainer}),
		p.containerOwnersCommand(),
	}, p.directoryCommands(model.KindContainer), p.dataCommands(model.KindContainer))
}

type createContainer struct {
	identity
	metadata
	mapping

	volatile, json bool
}

func (p *program) createContainerCommand() *urfave.Command {
	o := &createContainer{mapping: newMapping()}
	return p.command(urfave.Command{
		Name: "create-container", Aliases: []string{"createcontainer"},
		Usage: "Make a container", ArgsUsage: "imageNameOrID",
		Description: `
The container gets a layer of its own on top of the image's top layer. An empty
argument means a container without image. The ID is printed, and then the
names.

Examples:

  containers-storage create-container --name web registry.example/app:1
  containers-storage create-container --name scratch ""`,
		Flags: slices.Concat(o.identity.flags(), o.metadata.flags(), o.mapping.flags(), []urfave.Flag{
			&urfave.BoolFlag{Name: "volatile", Usage: "what is written may be lost when the machine crashes", Destination: &o.volatile},
			jsonFlag(&o.json),
		}),
	}, arity{1, 1}, o)
}

func (o *createContainer) run(ctx context.Context, s *session, args []string) error {
	text, err := o.metadata.get()
	if err != nil {
		return err
	}
	var c *model.Container
	err = s.store.Update(ctx, func(tx *graph.Tx) error {
		spec := graph.ContainerSpec{
			ID: model.ContainerID(o.id), Names: o.names, Metadata: text, Volatile: o.volatile,
		}
		if args[0] != "" {
			image, err := tx.Image(args[0])
			if err != nil {
				return err
			}
			spec.Image = image.ID
		}
		c, err = tx.CreateContainer(spec)
		return err
	})
	if err != nil {
		return err
	}
	if o.json {
		return cli.WriteJSON(s.Stdout, newContainerRecord(c, nil))
	}
	s.printCreated(c.ID, c.Names)
	return nil
}
