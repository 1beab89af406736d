package main

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// imageCommands returns the commands about images.
func (p *program) imageCommands() []*urfave.Command {
	return slices.Concat([]*urfave.Command{
		p.createImageCommand(),
		p.imagesCommand(),
		p.imagesByDigestCommand(),
		showCommand(p, model.KindImage, &show[imageRecord]{read: readImage, write: printImage}),
	}, p.directoryCommands(model.KindImage), p.dataCommands(model.KindImage))
}

type createImage struct {
	identity
	metadata

	digest string
	json   bool
}

func (p *program) createImageCommand() *urfave.Command {
	o := &createImage{}
	return p.command(urfave.Command{
		Name: "create-image", Aliases: []string{"createimage"},
		Usage: "Make an image", ArgsUsage: "[topLayerNameOrID]",
		Description: `
Without a top layer the image has no layers. The ID is printed, and then the
names.

Example:

  containers-storage create-image --name registry.example/app:1 app`,
		Flags: slices.Concat(o.identity.flags(), o.metadata.flags(), []urfave.Flag{
			&urfave.StringFlag{Name: "digest", Aliases: []string{"d"}, Usage: "digest by which the image can be found", Destination: &o.digest},
			jsonFlag(&o.json),
		}),
	}, arity{0, 1}, o)
}

func (o *createImage) run(ctx context.Context, s *session, args []string) error {
	text, err := o.metadata.get()
	if err != nil {
		return err
	}
	var image *model.Image
	err = s.store.Update(ctx, func(tx *graph.Tx) error {
		top, err := layerOf(&tx.ReadTx, optional(args))
		if err != nil {
			return err
		}
		image, err = tx.CreateImage(graph.ImageSpec{
			ID: model.ImageID(o.id), TopLayer: top, Names: o.names, Digest: digest.Digest(o.digest), Metadata: text,
		})
		return err
	})
	if err != nil {
		return err
	}
	if o.json {
		return cli.WriteJSON(s.Stdout, newImageRecord(image, nil))
	}
	s.printCreated(image.ID, image.Names)
	return nil
}
