package main

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

type deleteImage struct{ test, json bool }

func (p *program) deleteImageCommand() *urfave.Command {
	o := &deleteImage{}
	return p.command(urfave.Command{
		Name: "delete-image", Aliases: []string{"deleteimage"},
		Usage: "Delete images that no container uses", ArgsUsage: "imageNameOrID [...]",
		Description: `
Those layers of an image that nothing else needs go with it. They are listed on
the standard error.

Examples:

  containers-storage delete-image --test registry.example/app:1
  containers-storage delete-image registry.example/app:1`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "test", Aliases: []string{"t"}, Usage: "only tell what would be deleted", Destination: &o.test},
			jsonFlag(&o.json),
		},
	}, arity{1, unlimited}, o)
}

// imageDeletion is what became of one argument of delete-image.
type imageDeletion struct {
	Layers []model.LayerID `json:"deleted-layers,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// run deletes each image in a transaction of its own, and goes on after errors.
// Of an argument that is repeated the last result counts.
func (o *deleteImage) run(ctx context.Context, s *session, args []string) error {
	results := make(map[string]imageDeletion)
	for _, ref := range args {
		layers, err := o.one(ctx, s, ref)
		results[ref] = imageDeletion{Layers: layers, Error: reason(ref, err)}
	}
	if o.json {
		if err := cli.WriteJSON(s.Stdout, results); err != nil {
			return err
		}
	}
	var failed error
	for _, ref := range model.UniqueNames(args...) {
		result := results[ref]
		if result.Error != "" {
			failed = errReported
		}
		if !o.json {
			result.print(s, ref)
		}
	}
	return failed
}

// one deletes an image, or looks what that would mean, and returns the layers
// that go with it.
func (o *deleteImage) one(ctx context.Context, s *session, ref string) (layers []model.LayerID, err error) {
	find := func(tx *graph.ReadTx) (model.ImageID, error) {
		id, err := findDoomed(tx, ref, model.KindImage, model.ErrNotAnImage)
		if err != nil {
			return "", err
		}
		return model.ImageID(id.String()), nil
	}
	if o.test {
		err = s.store.View(ctx, func(tx *graph.ReadTx) error {
			id, err := find(tx)
			if err == nil {
				layers, err = tx.LayersOnlyOf(id)
			}
			return err
		})
		return layers, err
	}
	err = s.store.Update(ctx, func(tx *graph.Tx) error {
		id, err := find(&tx.ReadTx)
		if err == nil {
			layers, err = tx.DeleteImage(id)
		}
		return err
	})
	return layers, err
}

func (d imageDeletion) print(s *session, ref string) {
	if d.Error != "" {
		fmt.Fprintf(s.Stderr, "%s: %s\n", ref, d.Error)
		return
	}
	for _, layer := range d.Layers {
		fmt.Fprintf(s.Stderr, "%s: %s\n", ref, layer)
	}
}
