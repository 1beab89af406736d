package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
)

type dbRollback struct{ yes, dryRun bool }

func (p *program) dbRollbackCommand() *urfave.Command {
	o := &dbRollback{}
	return p.command(urfave.Command{
		Name: "rollback", Usage: "take back the last transaction",
		Description: `
Shows what the last transaction has done, asks, and takes it back: the database
file still has the state before. That works once, for the last transaction only,
and not after "csdb compact" or "csdb restore". The state before is checked
first, and the database as it was is kept beside the new one, in a file with
the time in its name.

Contents do not follow: what the transaction deleted may have been removed since
then, and what it made has no record any more and is removed as garbage sooner
or later. So the store is checked afterwards, and the exit status is that of
the check.

Examples:

  csdb db rollback --dry-run
  csdb db rollback --yes`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show the last transaction, and change nothing", DisableDefaultText: true, Destination: &o.dryRun},
			&urfave.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", DisableDefaultText: true, Destination: &o.yes},
		},
	}, arity{0, 0}, o)
}

// rollback tells what is taken back, or has been.
type rollback struct {
	TxID  uint64           `json:"tx"` // the last transaction
	To    uint64           `json:"to"` // the one before it
	Entry *db.JournalEntry `json:"entry"`
	// Kept is the path of the database as it was before, and Check the outcome
	// of the check; both are missing if nothing has been done.
	Kept  string       `json:"kept,omitempty"`
	Check *fsck.Report `json:"check,omitempty"`
}

func (o *dbRollback) run(ctx context.Context, s *session, _ []string) error {
	wait := max(s.settings.timeout, 0)
	last, err := db.LastTx(ctx, wait, filepath.Join(s.settings.root, db.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errNoStore, err)
	}
	if err != nil {
		return err
	}
	v := rollback{TxID: last.TxID, To: last.To, Entry: last.Entry}
	if !s.json {
		s.writeLast(&v)
	}
	if o.dryRun {
		if s.json {
			return s.writeJSON(v)
		}
		return nil
	}
	if !o.yes {
		if err := s.ask("Take it back?", "--yes"); err != nil {
			return err
		}
	}
	done, err := db.Rollback(ctx, s.settings.root, last.TxID, db.RestoreOptions{Wait: wait, Now: s.Now})
	if err != nil {
		return err
	}
	v.Kept = done.Kept
	v.Check, err = fsck.Check(ctx, fsck.Options{Root: s.settings.root, RunRoot: s.settings.runRoot, Wait: wait})
	if err != nil {
		return fmt.Errorf("it is taken back, but: %w", err)
	}
	if s.json {
		err = s.writeJSON(v)
	} else {
		fmt.Fprintf(s.Stdout, "taken back; the database as it was is kept as %s\n", v.Kept)
		s.writeReport(v.Check)
	}
	if err != nil {
		return err
	}
	return ending(statusOf(v.Check.Verdict))
}

func (s *session) writeLast(v *rollback) {
	fmt.Fprintf(s.Stdout, "transaction %d is the last one; before it was %d\n", v.TxID, v.To)
	if v.Entry == nil {
		fmt.Fprintln(s.Stdout, "  what it has done cannot be read")
		return
	}
	fmt.Fprintf(s.Stdout, "  by %s, %s\n", author(v.Entry), s.ago(v.Entry.Time))
	for _, line := range changes(v.Entry) {
		fmt.Fprintf(s.Stdout, "  %s\n", line)
	}
}
