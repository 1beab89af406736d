package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
)

type journal struct {
	since string
	last  int
}

func (p *program) logCommand() *urfave.Command {
	o := &journal{}
	return p.command(urfave.Command{
		Name: "log", Usage: "show who changed what, and when",
		Description: `
Shows the transactions in the journal, the oldest first: when they were
committed, their numbers, the programs that did them, and what was done. The
journal keeps the last ten thousand. With --json, each is an object in a line
of its own.

Examples:

  csdb log -n 20
  csdb log --since 2h
  csdb log --since 2026-01-31T12:00:00Z
  csdb log --json | jq 'select(.command == "podman")'`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "since", Usage: "show what has happened since a `TIME` (RFC 3339), or in the last hours or minutes (\"36h\")", Destination: &o.since},
			&urfave.IntFlag{Name: "last", Aliases: []string{"n"}, Usage: "show the last `N` transactions only", DefaultText: "all", Destination: &o.last},
		},
	}, arity{0, 0}, o)
}

func (o *journal) run(ctx context.Context, s *session, _ []string) error {
	from, err := o.from(s.Now())
	if err != nil {
		return &usageError{command: "log", err: err}
	}
	var entries []*db.JournalEntry
	var damaged damages
	err = s.view(ctx, func(tx *graph.ReadTx) error {
		return damaged.note(tx.Journal(0, func(e *db.JournalEntry) bool {
			if !e.Time.Before(from) {
				entries = append(entries, e)
			}
			return ctx.Err() == nil
		}))
	})
	if err != nil {
		return err
	}
	if o.last > 0 {
		entries = entries[max(len(entries)-o.last, 0):]
	}
	if s.json {
		for _, e := range entries {
			if err := s.writeJSON(e); err != nil {
				return err
			}
		}
	} else if err := s.writeLog(entries); err != nil {
		return err
	}
	return damaged.err()
}

// from returns the time since which transactions are shown.
func (o *journal) from(now time.Time) (time.Time, error) {
	if o.last < 0 {
		return time.Time{}, fmt.Errorf("-n %d: not a number of transactions", o.last)
	}
	if o.since == "" {
		return time.Time{}, nil
	}
	if span, err := time.ParseDuration(o.since); err == nil {
		return now.Add(-span.Abs()), nil
	}
	at, err := time.Parse(time.RFC3339, o.since)
	if err != nil {
		return at, fmt.Errorf("--since %q: neither a time such as %s nor a duration such as 36h", o.since, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func (s *session) writeLog(entries []*db.JournalEntry) error {
	w := s.table()
	for _, e := range entries {
		what := changes(e)
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", e.Time.Local().Format(time.DateTime), e.TxID, author(e), what[0])
		for _, more := range what[1:] {
			fmt.Fprintf(w, "\t\t\t%s\n", more)
		}
	}
	return w.Flush()
}

// author names the program that did a transaction.
func author(e *db.JournalEntry) string { return fmt.Sprintf("%s[%d]", clean(e.Command), e.PID) }

// changes says what a transaction did. There is at least one line.
func changes(e *db.JournalEntry) []string {
	var lines []string
	for _, c := range e.Changes {
		lines = append(lines, change(&c))
	}
	if e.Omitted > 0 {
		lines = append(lines, "and "+plural(int64(e.Omitted), "more change"))
	}
	if len(lines) == 0 {
		return []string{"nothing that is noted"}
	}
	return lines
}

// change says what was done to one object.
func change(c *db.Change) string {
	words := []string{string(c.Op)}
	if c.Kind != "" {
		words = append(words, string(c.Kind))
	}
	if c.ID != "" {
		words = append(words, shortID(c.ID))
	}
	if len(c.Detail) > 0 {
		words = append(words, "("+names(c.Detail)+")")
	}
	return strings.Join(words, " ")
}
