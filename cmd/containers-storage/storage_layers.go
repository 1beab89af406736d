package main

import (
	"context"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

type storageLayers struct{ json bool }

func (p *program) storageLayersCommand() *urfave.Command {
	o := &storageLayers{}
	return p.command(urfave.Command{
		Name:  "storage-layers",
		Usage: "List the layers that the storage driver knows",
		Description: `
Their IDs are listed in alphabetical order. Those that only the driver knows are
among them: see create-storage-layer.

Example:

  containers-storage storage-layers`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func (o *storageLayers) run(ctx context.Context, s *session, _ []string) error {
	ids, err := s.store.DriverLayers(ctx)
	if err != nil {
		return err
	}
	return s.printNames(ids, o.json)
}

type createStorageLayer struct{ newLayer }

func (p *program) createStorageLayerCommand() *urfave.Command {
	o := &createStorageLayer{newLayer{mapping: newMapping()}}
	return p.command(urfave.Command{
		Name:  "create-storage-layer",
		Usage: "Make a layer that only the storage driver knows", ArgsUsage: "[parentLayerID]",
		Description: `
Only storage-layers lists it, and check reports it; gc, wipe and check --repair
remove it. The parent must be given by its whole ID.

Example:

  containers-storage create-storage-layer --id 4f2a`,
		Flags: slices.DeleteFunc(o.flags(), func(flag urfave.Flag) bool { return flag.Names()[0] == "name" }),
	}, arity{0, 1}, o)
}

func (o *createStorageLayer) run(ctx context.Context, s *session, args []string) error {
	id, err := s.store.CreateDriverLayer(ctx, o.spec(model.LayerID(optional(args))))
	if err != nil {
		return err
	}
	if o.json {
		return cli.WriteJSON(s.Stdout, id)
	}
	fmt.Fprintln(s.Stdout, id)
	return nil
}
