package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
)

type journal struct {
	since  string
	last   int
	follow bool
}

func (p *program) logCommand() *urfave.Command {
	o := &journal{}
	return p.command(urfave.Command{
		Name: "log", Usage: "show who changed what, and when",
		Description: `
Shows the transactions in the journal, the oldest first: when they were
committed, their numbers, the programs that did them, and what was done. The
journal keeps the last ten thousand. With --json, each is an object in a line
of its own. With --follow, further transactions are shown as they come, until
the program is interrupted.

Examples:

  csdb log -n 20
  csdb log --since 2h
  csdb log --since 2026-01-31T12:00:00Z
  csdb log --follow -n 0
  csdb log --json | jq 'select(.command == "podman")'`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "since", Usage: "show what has happened since a `TIME` (RFC 3339), or in the last hours or minutes (\"36h\")", Destination: &o.since},
			&urfave.IntFlag{Name: "last", Aliases: []string{"n"}, Usage: "show the last `N` transactions only", DefaultText: "all", Destination: &o.last},
			&urfave.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what happens from now on", DisableDefaultText: true, Destination: &o.follow},
		},
	}, arity{0, 0}, o)
}

func (o *journal) run(ctx context.Context, s *session, _ []string) error {
	from, err := o.from(s.Now())
	if err != nil {
		return &usageError{command: "log", err: err}
	}
	var damaged damages
	seen := &position{}
	entries, err := seen.advance(ctx, s, &damaged)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e *db.JournalEntry) bool { return e.Time.Before(from) })
	if o.last > 0 || s.flagged("last") {
		entries = entries[max(len(entries)-o.last, 0):]
	}
	if err := s.writeEntries(entries); err != nil {
		return err
	}
	if o.follow {
		if err := o.goOn(ctx, s, seen, &damaged); err != nil {
			return err
		}
	}
	return damaged.err()
}

// interval is how often one looks for new transactions.
const interval = 500 * time.Millisecond

// goOn shows transactions as they come, until the context ends.
func (o *journal) goOn(ctx context.Context, s *session, seen *position, damaged *damages) error {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil // that is how it is ended
		case <-ticks.C:
		}
		entries, err := seen.advance(ctx, s, damaged)
		if err == nil {
			err = s.writeEntries(entries)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// position is how far the journal has been read.
type position struct {
	txID int
	seq  uint64
}

// advance returns the entries that have been added since the last call. Their
// numbers may begin anew below those that have been seen, when the database has
// been restored from a backup; those of transactions do not.
func (p *position) advance(ctx context.Context, s *session, damaged *damages) (entries []*db.JournalEntry, err error) {
	err = s.view(ctx, func(tx *graph.ReadTx) error {
		if tx.TxID() == p.txID {
			return nil
		}
		read := func(from uint64) error {
			return damaged.note(tx.Journal(from, func(e *db.JournalEntry) bool {
				if e.TxID > p.txID {
					entries = append(entries, e)
				}
				return ctx.Err() == nil
			}))
		}
		err := read(p.seq + 1)
		if err == nil && len(entries) == 0 && p.seq > 0 {
			err = read(0)
		}
		if err == nil {
			p.txID = tx.TxID()
		}
		return err
	})
	if n := len(entries); err == nil && n > 0 {
		p.seq = entries[n-1].Seq
	}
	return entries, err
}

// writeEntries writes entries of the journal.
func (s *session) writeEntries(entries []*db.JournalEntry) error {
	if !s.json {
		return s.writeLog(entries)
	}
	for _, e := range entries {
		if err := s.writeJSON(e); err != nil {
			return err
		}
	}
	return nil
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
