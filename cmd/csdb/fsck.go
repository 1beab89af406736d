package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph/fsck"
)

type check struct{ depth string }

func (p *program) fsckCommand() *urfave.Command {
	o := &check{}
	return p.command(urfave.Command{
		Name: "fsck", Usage: "check the store, or a database file", ArgsUsage: "[FILE]",
		Description: `
Says exactly what is wrong: where, what was expected and found, which images
and containers suffer from it, and what can be done. Nothing is written, and
no driver is needed; programs that want to change the store wait meanwhile.

  structure    looks at the database: pages, records, indexes and relations
  references   looks also at all files and directories that records speak of,
               and at those that none speaks of; the default for a store

With FILE, a database file by itself is checked, such as a backup. The codes
of findings, and the format of the JSON, are described in docs/fsck.md.

Examples:

  csdb fsck
  csdb --root /mnt/copy fsck --depth structure
  csdb fsck /backup/csdb-2026-01-31.db
  csdb fsck --json | jq -r '.findings[] | [.severity, .code, .place] | @tsv'`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "depth", Usage: "`DEPTH` of the check: structure or references", Destination: &o.depth},
		},
	}, arity{0, 1}, o)
}

func (o *check) run(ctx context.Context, s *session, args []string) error {
	options := fsck.Options{
		Depth: fsck.Depth(o.depth), Driver: s.settings.driver, Wait: max(s.settings.timeout, 0),
		Root: s.settings.root, RunRoot: s.settings.runRoot,
	}
	if len(args) > 0 {
		if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
			return &usageError{command: "fsck", err: fmt.Errorf("%s is a directory: name a store by --root", args[0])}
		}
		options.Root, options.RunRoot, options.Database = "", "", args[0]
	}
	report, err := fsck.Check(ctx, options)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errNoStore, err)
	}
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(report)
	} else {
		s.writeReport(report)
	}
	if err != nil {
		return err
	}
	if status := statusOf(report.Verdict); status != exitOK {
		return statusError(status)
	}
	return nil
}

// statusOf returns the exit status for a verdict.
func statusOf(verdict fsck.Verdict) int {
	switch verdict {
	case fsck.Clean:
		return exitOK
	case fsck.NeedsRepair:
		return exitRepairable
	case fsck.Damaged:
		return exitDamaged
	case fsck.Unchecked:
		return exitUnreadable
	}
	return exitFailed
}
