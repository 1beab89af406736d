package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

type applyDirectory struct{}

func (p *program) applyDirectoryCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name:  "applydiff-using-staging-dir",
		Usage: "Fill a layer from a directory", ArgsUsage: "layerNameOrID directory",
		Description: `
Everything in the directory is added to the layer, with its owners, modes, times
and extended attributes; what the layer has already stays. This needs the driver
overlay, and enable_partial_images = "true" among the pull options of
storage.conf.

The files are copied: those that another layer has too are not taken from there,
as a partial pull would do.

Example:

  containers-storage applydiff-using-staging-dir app /srv/tree`,
	}, arity{2, 2}, applyDirectory{})
}

func (applyDirectory) run(ctx context.Context, s *session, args []string) (err error) {
	if err := s.needPartialPulls(); err != nil {
		return err
	}
	l, err := s.store.Layer(ctx, args[0])
	if err != nil {
		return err
	}
	tree := pipeline.Start(ctx, func(ctx context.Context, w io.Writer) error {
		return archive.Pack(ctx, w, args[1], archive.PackOptions{UIDMap: l.UIDMap, GIDMap: l.GIDMap})
	})
	defer func() { err = errors.Join(err, tree.Close()) }()
	_, err = s.store.ApplyDiff(ctx, l.ID, tree)
	return err
}

// needPartialPulls refuses what scripts can only expect of stores in which
// partial pulls are possible, and are wanted.
func (s *session) needPartialPulls() error {
	const wantedDriver, option = "overlay", "enable_partial_images"
	pull, _ := s.config.Get(config.PullOptions).Value.(map[string]string)
	if s.store.DriverName() == wantedDriver && strings.EqualFold(pull[option], "true") {
		return nil
	}
	return fmt.Errorf("partial pulls need the driver %s, which is %s here, and %s = \"true\" in the pull options of storage.conf, which is %q here: %w",
		wantedDriver, s.store.DriverName(), option, pull[option], model.ErrUnsupported)
}
