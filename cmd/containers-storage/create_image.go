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
	spec := graph.ImageSpec{ID: model.ImageID(o.id), Names: o.names, Digest: digest.Digest(o.digest), Metadata: text}
	err = s.store.View(ctx, func(tx *graph.ReadTx) error {
		spec.TopLayer, err = layerOf(tx, optional(args))
		return err
	})
	if err != nil {
		return err
	}
	// If the layer goes meanwhile, this says so.
	image, err := s.store.CreateImage(ctx, spec)
	if err != nil {
		return err
	}
	if !o.json {
		s.printCreated(image.ID, image.Names)
		return nil
	}
	var data []model.Data // there is some if an image of another store had the ID
	err = s.store.View(ctx, func(tx *graph.ReadTx) error {
		data, err = tx.Data(image.ID)
		return err
	})
	if err != nil {
		return err
	}
	return cli.WriteJSON(s.Stdout, newImageRecord(image, data))
}
