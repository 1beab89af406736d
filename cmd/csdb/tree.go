package main

import (
	"context"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type tree struct{ all bool }

func (p *program) treeCommand() *urfave.Command {
	o := &tree{}
	return p.command(urfave.Command{
		Name: "tree", Usage: "show what lies on what", ArgsUsage: "[REF]",
		Description: `
Shows all layers as a tree, each with its size, and the images and containers
on it. Layers in a row of which nothing but the last is used take one line.
With a REF, only what that object lies on, and what lies on it, is shown.

Examples:

  csdb tree
  csdb tree docker.io/library/app:1
  csdb tree --all
  csdb tree --json | jq '.layers[] | select(.depth > 100)'`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "give every layer a line", DisableDefaultText: true, Destination: &o.all},
		},
	}, arity{0, 1}, o)
}

func (o *tree) run(ctx context.Context, s *session, args []string) error {
	var f *forest
	var damaged damages
	err := s.view(ctx, func(tx *graph.ReadTx) (err error) {
		if f, err = loadForest(tx, &damaged); err != nil || len(args) == 0 {
			return err
		}
		layer, err := layerOf(tx, args[0])
		if err == nil {
			f.prune(layer)
		}
		return err
	})
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(f.flatten())
	} else {
		d := drawing{out: s.Stdout, lines: linesFor(s.Getenv), all: o.all}
		d.forest(f)
	}
	if err != nil {
		return err
	}
	return damaged.err()
}

// layerOf returns the layer that an object has or is.
func layerOf(tx *graph.ReadTx, ref string) (model.LayerID, error) {
	id, err := tx.Find(ref)
	if err != nil {
		return "", err
	}
	switch id := id.(type) {
	case model.ImageID:
		i, err := tx.ImageByID(id)
		if err != nil {
			return "", err
		}
		return i.TopLayer, nil
	case model.ContainerID:
		c, err := tx.ContainerByID(id)
		if err != nil {
			return "", err
		}
		return c.Layer, nil
	}
	return model.LayerID(id.String()), nil
}
