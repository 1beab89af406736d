package main

import (
	"context"
	"errors"
	"io"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

type diff struct {
	file            string
	uncompressed    bool
	gzip, bzip2, xz bool
}

func (p *program) diffCommand() *urfave.Command {
	o := &diff{}
	return p.command(urfave.Command{
		Name:  "diff",
		Usage: "Write the changes that make a layer out of another", ArgsUsage: twoLayers,
		Description: `
The layer is compared with the reference, or else with its parent. What is
written is a tar archive. A layer that was made from a diff and has not been
changed gives the same archive bit for bit when it is not compressed. Without
one of the flags the archive is compressed as the diff was that the layer was
made from, if that can be written. A file gets its name when it is complete.

Examples:

  containers-storage diff --uncompressed app | tar -t
  containers-storage diff --gzip --file app.tar.gz app`,
		Flags: []urfave.Flag{
			outputFlag(&o.file),
			&urfave.BoolFlag{Name: "uncompressed", Aliases: []string{"u"}, Usage: "do not compress", Destination: &o.uncompressed},
			&urfave.BoolFlag{Name: "gzip", Aliases: []string{"c"}, Usage: "compress by gzip", Destination: &o.gzip},
			&urfave.BoolFlag{Name: "bzip2", Aliases: []string{"bz2", "b"}, Usage: "compress by bzip2 (not supported)", Destination: &o.bzip2},
			&urfave.BoolFlag{Name: "xz", Aliases: []string{"x"}, Usage: "compress by xz (not supported)", Destination: &o.xz},
		},
	}, arity{1, 2}, o)
}

// compression returns the compression that is asked for, or nil.
func (o *diff) compression() *model.Compression {
	switch {
	case o.xz:
		return new(model.Xz)
	case o.bzip2:
		return new(model.Bzip2)
	case o.gzip:
		return new(model.Gzip)
	case o.uncompressed:
		return new(model.Uncompressed)
	}
	return nil
}

// size returns how much is going to be written, or cli.SizeUnknown.
func (o *diff) size(l *model.Layer, from model.LayerID) int64 {
	if from != "" || l.Diff == nil {
		return cli.SizeUnknown
	}
	compression := l.Diff.Compression
	if asked := o.compression(); asked != nil {
		compression = *asked
	}
	if compression != model.Uncompressed {
		return cli.SizeUnknown
	}
	return l.Diff.Size
}

func (o *diff) run(ctx context.Context, s *session, args []string) (err error) {
	layer, from, err := s.pair(ctx, args)
	if err != nil {
		return err
	}
	stream, err := s.store.Diff(ctx, layer.ID, graph.DiffOptions{From: from, Compression: o.compression()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	return s.WriteOutput(o.file, func(w io.Writer) error {
		var progress cli.Progress
		if o.file != "" {
			progress = s.StartProgress("writing", o.size(layer, from))
			defer progress.End()
		}
		_, err := io.Copy(progress.Writer(w), stream)
		return err
	})
}
