package main

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/dedup"
	"github.com/csdb/csdb/model"
)

type deduplicate struct {
	method       string
	dryRun, json bool
}

func (p *program) dedupCommand() *urfave.Command {
	o := &deduplicate{}
	return p.command(urfave.Command{
		Name:  "dedup",
		Usage: "Let equal files in the layers of images share their content",
		Description: `
The files stay what they are; what they have on disk becomes one. btrfs can do
that, and XFS with reflinks; on other file systems nothing is done. The kernel
compares the files, so all methods come to the same: they tell it which. What
counts is all that is shared at the end, so a second run prints the same.

Examples:

  containers-storage dedup
  containers-storage dedup --dry-run
  containers-storage dedup --hash-method sha256 --json`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "find out what would be shared, and change nothing", Destination: &o.dryRun},
			&urfave.StringFlag{Name: "hash-method", Value: string(graph.DedupCRC), Usage: "how to tell files of one size apart: crc, size or sha256", Destination: &o.method},
			jsonFlag(&o.json),
		},
	}, arity{0, 0}, o)
}

// check implements checker.
func (o *deduplicate) check() error {
	if o.method == "" {
		return fmt.Errorf("dedup: %w: hash method is empty", model.ErrInvalid)
	}
	if _, err := dedup.ParseMethod(o.method); err != nil {
		return fmt.Errorf("dedup: %w", err)
	}
	return nil
}

func (o *deduplicate) run(ctx context.Context, s *session, _ []string) error {
	var shown cli.Progress
	done, err := s.store.Dedup(ctx, graph.DedupOptions{
		Method: graph.DedupMethod(o.method), DryRun: o.dryRun,
		Progress: func(what string, total int64) func(int64) {
			shown.End()
			shown = s.StartProgress(what, total)
			return shown.Add
		},
	})
	shown.End()
	s.log.Debugf("dedup: %+v", done)
	if errors.Is(err, model.ErrUnsupported) {
		// Scripts expect this to succeed wherever it is run.
		if !o.json {
			fmt.Fprintf(s.Stderr, "dedup: %s\n", oneLine(err))
		}
		err = nil
	}
	switch {
	case err != nil:
		return s.printOutcome("dedup", o.json, err)
	case o.json:
		return cli.WriteJSON(s.Stdout, struct{ Deduped int64 }{done.Bytes})
	case o.dryRun:
		fmt.Fprintf(s.Stdout, "Would deduplicate %d bytes\n", done.Bytes)
	default:
		fmt.Fprintf(s.Stdout, "Deduplicated %d bytes\n", done.Bytes)
	}
	return nil
}
