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

type check struct {
	depth, subset string
	only, other   urfave.StringSlice
}

func (p *program) fsckCommand() *urfave.Command {
	o := &check{}
	return p.command(urfave.Command{
		Name: "fsck", Usage: "check the store, or a database file", ArgsUsage: "[FILE]",
		Description: `
Says exactly what is wrong: where, what was expected and found, which images
and containers suffer from it, and what can be done. Nothing is written, and
no driver is needed; programs that want to change the store wait meanwhile,
but not while contents are read.

  structure    looks at the database: pages, records, indexes and relations
  references   looks also at all files and directories that records speak of,
               and at those that none speaks of; the default for a store
  contents     reads also all data items, tar-splits and layers, and compares
               them with their digests

References into other stores, and what other stores are noted to need, are
compared with these stores, as far as they are there. --other names one that is
somewhere else than it was, or of which nothing is noted. What is wrong in such a
store by itself is not reported.

Of the contents a part can be read: with --read-data-subset a certain one of
several parts (1/7), a percentage or a size chosen by chance (5%, 2GiB), and
with --only what an image, a container or a layer is made of.

With FILE, a database file by itself is checked, such as a backup. The codes
of findings, and the format of the JSON, are described in docs/fsck.md.

Examples:

  csdb fsck
  csdb --root /mnt/copy fsck --depth structure
  csdb fsck --depth contents --read-data-subset 1/7
  csdb fsck --depth contents --only registry.example/app:1
  csdb fsck /backup/csdb-2026-01-31.db
  csdb fsck --json | jq -r '.findings[] | [.severity, .code, .place] | @tsv'`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "depth", Usage: "`DEPTH` of the check: structure, references or contents", Destination: &o.depth},
			&urfave.StringFlag{Name: "read-data-subset", Usage: "read this `PART` of the contents: n/m, a percentage or a size", Destination: &o.subset},
			otherFlag(&o.other),
			&urfave.StringSliceFlag{Name: "only", Usage: "read the contents of this `OBJECT` only; may be repeated", Destination: &o.only},
		},
	}, arity{0, 1}, o)
}

// otherFlag is the flag for other stores.
func otherFlag(roots *urfave.StringSlice) urfave.Flag {
	return &urfave.StringSliceFlag{Name: "other", Usage: "look also at the store with the graph root `DIR`; may be repeated", Destination: roots}
}

func (o *check) run(ctx context.Context, s *session, args []string) error {
	options := fsck.Options{
		Depth: fsck.Depth(o.depth), Driver: s.settings.driver, Wait: max(s.settings.timeout, 0),
		Root: s.settings.root, RunRoot: s.settings.runRoot, Others: o.other.Value(), Subset: fsck.Subset(o.subset), Only: o.only.Value(),
	}
	if len(args) > 0 {
		if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
			return &usageError{command: "fsck", err: fmt.Errorf("%s is a directory: name a store by --root", args[0])}
		}
		if len(options.Others) > 0 {
			return &usageError{command: "fsck", err: errors.New("--other goes with a store, not with a database file")}
		}
		options.Root, options.RunRoot, options.Database = "", "", args[0]
	}
	report, err := s.check(ctx, options)
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
	return ending(statusOf(report.Verdict))
}

// check checks a store or a database file, and shows how far that has come.
func (s *session) check(ctx context.Context, options fsck.Options) (*fsck.Report, error) {
	steps := &steps{Env: s.Env}
	options.Progress = steps.reading
	report, err := fsck.Check(ctx, options)
	steps.end()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errNoStore, err)
	}
	return report, err
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
