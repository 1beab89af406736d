package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/rescue"
	"github.com/csdb/csdb/model"
)

type rescueStore struct {
	backup, output                         string
	fromFiles, dryRun, install, yes, force bool
}

// rescuedSuffix ends the name of a new database beside the old one.
const rescuedSuffix = ".rescued"

func (p *program) rescueCommand() *urfave.Command {
	o := &rescueStore{}
	return p.command(urfave.Command{
		Name: "rescue", Usage: "make a new database of what is left of a damaged one",
		Description: `
For a database that does not open, or has damaged pages, or is missing. Reads it
page by page and takes every record that is intact: from the newest state, from
pages that the damaged state no longer leads to, from the state one transaction
before, from pages that are free. What is missing then comes from a backup, with
--backup, and from the directories and files of the contents, with --from-files.

Makes a new database of that, csdb.db.rescued beside the old one, and tells for
each record that is not from the newest state where it came from, and what is
lost. The new database is checked as by "csdb fsck". The old one stays as it is.
With --install, which asks first, the new one is put in its place while nobody
uses the store, and the old one is kept as csdb.db.damaged-TIME. That is refused
if there are contents without a record in it, for they would be taken for
garbage.

The format of the JSON is described in docs/rescue.md. The exit status is that of
fsck for the new database; it is 2 as well if anything is lost, or
may be without leaving a trace.

Examples:

  csdb rescue --dry-run
  csdb rescue --backup /backup/csdb-2026-01-31.db
  csdb rescue --from-files --install
  csdb rescue --json --dry-run | jq -r '.lost[] | [.kind, .id, .evidence] | @tsv'`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "backup", Usage: "take what is missing from this backup `FILE`", Destination: &o.backup},
			&urfave.BoolFlag{Name: "from-files", Usage: "make records of directories and content files that have none", Destination: &o.fromFiles},
			&urfave.StringFlag{Name: "output", Usage: "write the new database to `FILE`, in the graph root", Destination: &o.output},
			&urfave.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show what can be had and write nothing", Destination: &o.dryRun},
			&urfave.BoolFlag{Name: "install", Usage: "put the new database in the place of the old one", Destination: &o.install},
			&urfave.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", Destination: &o.yes},
			&urfave.BoolFlag{Name: "force", Usage: "go on if nothing is wrong with the database, or if there are contents without a record", Destination: &o.force},
		},
	}, arity{0, 0}, o)
}

// check looks whether the flags make sense together.
func (o *rescueStore) check() error {
	switch {
	case o.dryRun && (o.install || o.output != ""):
		return errors.New("--dry-run writes nothing, neither with --install nor with --output")
	case o.yes && !o.install:
		return errors.New("--yes goes with --install")
	}
	return nil
}

func (o *rescueStore) run(ctx context.Context, s *session, _ []string) error {
	if err := o.check(); err != nil {
		return &usageError{command: "rescue", err: err}
	}
	if o.install && !o.yes {
		if err := s.canAsk("--yes"); err != nil {
			return err
		}
	}
	steps := &steps{Env: s.Env}
	report, err := rescue.Rescue(ctx, o.options(s, steps.start))
	steps.end()
	switch {
	case errors.Is(err, rescue.ErrNotNeeded):
		return fmt.Errorf(`%w; "csdb fsck" tells whether anything else is wrong, and --force rescues it nevertheless`, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", errNoStore, err)
	case err != nil:
		return err
	}
	if !s.json {
		s.writeRescue(report)
	}
	if n := report.Strays(); o.install && n > 0 && !o.force {
		return fmt.Errorf("%w: %s have no record in %s, which would make garbage of them; use --backup or --from-files, or --force if they are garbage",
			model.ErrCorrupt, many(n, "directory or file", "directories and files"), report.Output)
	}
	if o.install {
		if err := o.putInPlace(ctx, s, report); err != nil {
			return err
		}
	}
	if s.json {
		if err := s.writeJSON(report); err != nil {
			return err
		}
	}
	return statusOfRescue(report)
}

// options returns what the flags ask for.
func (o *rescueStore) options(s *session, progress db.Progress) rescue.Options {
	options := rescue.Options{
		Root: s.settings.root, RunRoot: s.settings.runRoot, Driver: s.settings.driver, Wait: max(s.settings.timeout, 0),
		Backup: o.backup, FromFiles: o.fromFiles, Output: o.output, Force: o.force, Progress: progress,
	}
	if o.output == "" && !o.dryRun {
		options.Output, options.Replace = filepath.Join(s.settings.root, db.FileName+rescuedSuffix), true
	}
	return options
}

// putInPlace asks whether the new database is to be put in place, and does it.
func (o *rescueStore) putInPlace(ctx context.Context, s *session, report *rescue.Report) error {
	if !o.yes {
		question := fmt.Sprintf("Put %s in the place of %s?", report.Output, report.Database)
		if err := s.ask(question, "--yes"); err != nil {
			return fmt.Errorf("%w; the new database is %s", err, report.Output)
		}
	}
	if err := rescue.Install(ctx, report, time.Now()); err != nil {
		return err
	}
	if s.json {
		return nil
	}
	fmt.Fprintf(s.Stdout, "installed as %s\n", report.Output)
	if report.Kept != "" {
		fmt.Fprintf(s.Stdout, "the database that was there is kept as %s\n", report.Kept)
	}
	return nil
}

// statusOfRescue is the exit status for what was rescued.
func statusOfRescue(report *rescue.Report) error {
	status := exitOK
	if report.Check != nil {
		status = statusOf(report.Check.Verdict)
	}
	if len(report.Lost) > 0 || report.Unknown {
		status = exitDamaged
	}
	return ending(status)
}
