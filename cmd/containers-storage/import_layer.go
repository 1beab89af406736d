package main

import (
	"context"
	"io"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type importLayer struct {
	newLayer

	file string
}

func (p *program) importLayerCommand() *urfave.Command {
	o := &importLayer{newLayer: newLayer{mapping: newMapping()}}
	return p.command(urfave.Command{
		Name: "import-layer", Aliases: []string{"importlayer"},
		Usage: "Make a layer from a diff", ArgsUsage: "[parentLayerNameOrID]",
		Description: `
The diff is a tar archive, which may be compressed by gzip, bzip2, xz or zstd.
It is read from the standard input unless a file is given. If that fails there
is no layer.

Examples:

  containers-storage import-layer --name base --file base.tar.gz
  tar -C tree -c . | containers-storage import-layer base`,
		Flags: append(o.flags(), inputFlag(&o.file)),
	}, arity{0, 1}, o)
}

// inputFlag returns the flag that names a file to read.
func inputFlag(destination *string) urfave.Flag {
	return &urfave.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "read from a file instead of the standard input", Destination: destination}
}

func (o *importLayer) run(ctx context.Context, s *session, args []string) error {
	var parent model.LayerID
	err := s.store.View(ctx, func(tx *graph.ReadTx) (err error) {
		parent, err = layerOf(tx, optional(args))
		return err
	})
	if err != nil {
		return err
	}
	var l *model.Layer
	err = s.readDiff(ctx, o.file, func(diff io.Reader) error {
		l, err = s.store.ImportLayer(ctx, o.spec(parent), diff)
		return err
	})
	if err != nil {
		return err
	}
	return o.print(s, l)
}
