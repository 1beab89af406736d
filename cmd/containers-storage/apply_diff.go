package main

import (
	"context"
	"errors"
	"io"

	urfave "github.com/urfave/cli/v2"
)

type applyDiff struct{ file string }

func (p *program) applyDiffCommand() *urfave.Command {
	o := &applyDiff{}
	return p.command(urfave.Command{
		Name: "applydiff", Aliases: []string{"apply-diff"},
		Usage: "Apply a diff to a layer", ArgsUsage: "layerNameOrID",
		Description: `
The diff is a tar archive, which may be compressed by gzip, bzip2, xz or zstd.
It is read from the standard input unless a file is given.

Examples:

  containers-storage applydiff --file changes.tar.gz app
  containers-storage diff -u app | containers-storage applydiff copy`,
		Flags: []urfave.Flag{inputFlag(&o.file)},
	}, arity{1, 1}, o)
}

func (o *applyDiff) run(ctx context.Context, s *session, args []string) error {
	l, err := s.store.Layer(ctx, args[0])
	if err != nil {
		return err
	}
	return s.readDiff(ctx, o.file, func(diff io.Reader) error {
		_, err := s.store.ApplyDiff(ctx, l.ID, diff)
		if err != nil {
			// Scripts expect a line in the log besides the error.
			s.log.Errorf("While applying layer: %s", oneLine(err))
		}
		return err
	})
}

// readDiff gives a diff to use, and shows how far it has been read.
func (s *session) readDiff(ctx context.Context, file string, use func(io.Reader) error) (err error) {
	in, err := s.OpenInput(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	progress := s.StartProgress("reading", in.Size)
	defer progress.End()
	return use(progress.Reader(in))
}
