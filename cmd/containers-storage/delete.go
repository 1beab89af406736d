package main

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// deleteCommands returns the commands that delete objects.
func (p *program) deleteCommands() []*urfave.Command {
	return []*urfave.Command{
		p.deleteCommand(urfave.Command{
			Name:  "delete",
			Usage: "Delete containers, images or layers without asking whether they are needed", ArgsUsage: anyObject + " [...]",
			Description: `
Of the objects that an argument can mean a container goes first, with its
layer, then an image, without its layers, then a layer.

Example:

  containers-storage delete web`,
		}, deleteAny),
		p.deleteCommand(urfave.Command{
			Name: "delete-layer", Aliases: []string{"deletelayer"},
			Usage: "Delete layers that nothing uses", ArgsUsage: "layerNameOrID [...]",
			Description: `
Example:

  containers-storage delete-layer app base`,
		}, deleteLayer),
		p.deleteImageCommand(),
		p.deleteCommand(urfave.Command{
			Name: "delete-container", Aliases: []string{"deletecontainer"},
			Usage: "Delete containers with their layers", ArgsUsage: "containerNameOrID [...]",
			Description: `
Example:

  containers-storage delete-container web`,
		}, deleteContainer),
	}
}

// deletion is the action of the commands that delete objects.
type deletion struct {
	json bool
	// one deletes what ref means.
	one func(tx *graph.Tx, ref string) error
}

func (p *program) deleteCommand(c urfave.Command, one func(*graph.Tx, string) error) *urfave.Command {
	o := &deletion{one: one}
	c.Flags = []urfave.Flag{jsonFlag(&o.json)}
	return p.command(c, arity{1, unlimited}, o)
}

// run deletes each object in a transaction of its own, and goes on after
// errors. Of an argument that is repeated the last result counts.
func (o *deletion) run(ctx context.Context, s *session, args []string) error {
	results := make(map[string]string)
	for _, ref := range args {
		err := s.store.Update(ctx, func(tx *graph.Tx) error { return o.one(tx, ref) })
		results[ref] = reason(ref, err)
	}
	if o.json {
		if err := cli.WriteJSON(s.Stdout, results); err != nil {
			return err
		}
	}
	var failed error
	for _, ref := range model.UniqueNames(args...) {
		if results[ref] == "" {
			continue
		}
		failed = errReported
		if !o.json {
			fmt.Fprintf(s.Stderr, "%s: %s\n", ref, results[ref])
		}
	}
	return failed
}

func deleteAny(tx *graph.Tx, ref string) error {
	id, err := tx.Find(ref, model.KindContainer, model.KindImage, model.KindLayer)
	if errors.Is(err, model.ErrNotFound) {
		return model.Unknown(model.KindLayer, ref)
	}
	if err != nil {
		return err
	}
	return tx.Delete(id)
}

func deleteLayer(tx *graph.Tx, ref string) error {
	id, err := findDoomed(&tx.ReadTx, ref, model.KindLayer, model.ErrNotALayer)
	if err != nil {
		return err
	}
	return tx.DeleteLayer(model.LayerID(id.String()))
}

func deleteContainer(tx *graph.Tx, ref string) error {
	id, err := findDoomed(&tx.ReadTx, ref, model.KindContainer, model.ErrNotAContainer)
	if err != nil {
		return err
	}
	return tx.DeleteContainer(model.ContainerID(id.String()))
}

// findDoomed returns the ID of an object that is to be deleted. If there is
// none, the error is the one that scripts know from the commands that delete.
func findDoomed(tx *graph.ReadTx, ref string, kind model.Kind, unknown error) (model.ID, error) {
	id, err := tx.Find(ref, kind)
	if errors.Is(err, model.ErrNotFound) {
		err = model.OnObject(kind, ref, unknown)
	}
	return id, err
}
