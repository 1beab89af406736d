package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// dbCommand has the commands for those who want to see the file itself.
func (p *program) dbCommand() *urfave.Command {
	c := p.command(urfave.Command{
		Name: "db", Usage: "look into the database file, or change it as a whole", ArgsUsage: "COMMAND",
		Description: `
Shows the database file as it is, page by page and record by record. Nothing
else is looked at and nothing is compared, so these commands show what there
is to be read of a file that is damaged in any way. What could not be read is
said at the end. Buckets, keys and values are described in the documentation
of package db.

With --file they work on any database file, such as a backup.`,
	}, arity{0, -1}, &noCommand{group: "db"})
	c.Flags = nil
	for _, sub := range []*urfave.Command{
		p.dbBucketsCommand(), p.dbGetCommand(), p.dbDumpCommand(), p.dbLoadCommand(), p.dbPagesCommand(), p.dbStatsCommand(), p.dbRollbackCommand(), p.dbForsakeCommand(),
	} {
		sub.CustomHelpTemplate = strings.ReplaceAll(commandHelp, "{{.Name}}", "db {{.Name}}")
		c.Subcommands = append(c.Subcommands, sub)
	}
	c.CustomHelpTemplate = groupHelp
	return c
}

// noCommand is what is done if the command behind the name of a group is missing.
type noCommand struct{ group string }

func (o *noCommand) run(_ context.Context, _ *session, args []string) error {
	if len(args) > 0 {
		return &usageError{command: o.group, err: fmt.Errorf("there is no command %q", o.group+" "+args[0])}
	}
	return &usageError{command: o.group, err: errors.New("a command is missing")}
}

// look are the flags of commands that read a database file.
type look struct{ file string }

func (o *look) flags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{Name: "file", Usage: "read this database `FILE`", DefaultText: "that of the store", Destination: &o.file},
	}
}

// survey reads the file, and calls fn for each record unless that is nil.
func (o *look) survey(ctx context.Context, s *session, progress db.Progress, fn func(*db.Record) error) (*db.Survey, error) {
	path := cmp.Or(o.file, filepath.Join(s.settings.root, db.FileName))
	survey, err := db.Look(ctx, path, db.LookOptions{Wait: max(s.settings.timeout, 0), Progress: progress}, fn)
	if o.file == "" && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errNoStore, err)
	}
	return survey, err
}

// unread returns an error that says what could not be read.
func unread(survey *db.Survey) error {
	var errs []error
	for i, p := range survey.Problems {
		if i == maxShown {
			errs = append(errs, fmt.Errorf("%d more", len(survey.Problems)-i))
			break
		}
		errs = append(errs, errors.New(p.String()))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w; not everything could be read", model.ErrCorrupt, errors.Join(errs...))
}

// bucketName writes the path of a bucket. Names may have slashes themselves.
func bucketName(path []string) string { return clean(strings.Join(path, "/")) }

type dbBuckets struct{ look }

func (p *program) dbBucketsCommand() *urfave.Command {
	o := &dbBuckets{}
	return p.command(urfave.Command{
		Name: "buckets", Usage: "list the buckets",
		Description: `
Lists all buckets, each before those in it: the number of their keys, the size
of their values, and the number from which their records are numbered.

Examples:

  csdb db buckets
  csdb db buckets --file /backup/csdb-2026-01-31.db`,
		Flags: o.flags(),
	}, arity{0, 0}, o)
}

// bucketValue is a bucket in JSON. Sizes are in bytes.
type bucketValue struct {
	Path       []octets `json:"path"`
	Keys       int      `json:"keys"`
	KeyBytes   int64    `json:"key-bytes"`
	ValueBytes int64    `json:"value-bytes"`
	Sequence   uint64   `json:"sequence"`
	Branches   int      `json:"branch-pages"`
	Leaves     int      `json:"leaf-pages"`
	PageBytes  int64    `json:"page-bytes"`
	Inline     bool     `json:"inline"`
}

func bucketValues(survey *db.Survey) []bucketValue {
	values := make([]bucketValue, 0, len(survey.Buckets))
	for _, b := range survey.Buckets {
		values = append(values, bucketValue{
			Path: octetsOf(b.Path), Keys: b.Keys, KeyBytes: b.KeyBytes, ValueBytes: b.ValueBytes, Sequence: b.Sequence,
			Branches: b.Branches, Leaves: b.Leaves, PageBytes: b.PageBytes, Inline: b.Inline,
		})
	}
	return values
}

func (o *dbBuckets) run(ctx context.Context, s *session, _ []string) error {
	survey, err := o.survey(ctx, s, nil, nil)
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(bucketValues(survey))
	} else {
		w := s.table()
		fmt.Fprintln(w, "BUCKET\tKEYS\tSIZE\tSEQUENCE")
		for _, b := range survey.Buckets {
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\n", bucketName(b.Path), b.Keys, humanSize(b.ValueBytes), b.Sequence)
		}
		err = w.Flush()
	}
	return errors.Join(err, unread(survey))
}
