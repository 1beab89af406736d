package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

type restore struct{ force bool }

func (p *program) restoreCommand() *urfave.Command {
	o := &restore{}
	return p.command(urfave.Command{
		Name: "restore", Usage: "replace the database by a backup", ArgsUsage: "FILE",
		Description: `
Puts a copy of a backup in the place of the database, which may be lost or
damaged. Before that the backup is checked: it must be whole, and one of this
store. Programs that use the store need not be stopped; they wait, and go on
with what the backup has. Whatever happens, the old database or the new one is
there, and the old one is kept beside it, in a file with the time in its name.

A backup has records and no contents. What has been made since then has no
record any more, and its content becomes garbage, which "csdb gc" removes; what
has been deleted since then has a record again, without content. So the store
is checked afterwards, and the exit status is that of the check.

Examples:

  csdb restore /backup/csdb-2026-01-31.db
  csdb restore --json /backup/csdb-2026-01-31.db | jq .lost`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "force", Usage: "accept the backup of another store, or where it cannot be told which store this is", DisableDefaultText: true, Destination: &o.force},
		},
	}, arity{1, 1}, o)
}

// restoration tells what restore has done.
type restoration struct {
	File string `json:"file"` // the backup
	UUID string `json:"uuid"`
	TxID uint64 `json:"tx"` // last transaction in the backup
	// Kept is the path of the database that was replaced, "" if there was none.
	Kept string `json:"kept"`
	// Lost are the objects that had a record before and have none now, and
	// Found those that have one again. Both are missing if the old database
	// could not be read.
	Lost  []brief `json:"lost"`
	Found []brief `json:"found"`
	// Check is the outcome of the check that followed.
	Check *fsck.Report `json:"check"`
}

func (o *restore) run(ctx context.Context, s *session, args []string) error {
	if _, err := os.Stat(s.settings.root); err != nil {
		return fmt.Errorf("%w: %w", errNoStore, err)
	}
	file, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	value := restoration{File: file}
	before, errBefore := s.briefs(ctx)
	if errors.Is(errBefore, model.ErrBusy) {
		return errBefore
	}
	steps := &steps{Env: s.Env}
	restored, err := db.Restore(ctx, s.settings.root, file, db.RestoreOptions{
		Force: o.force, Wait: max(s.settings.timeout, 0), Now: s.Now, Progress: steps.start,
	})
	steps.end()
	if restored == nil {
		return err
	}
	value.UUID, value.TxID, value.Kept = restored.UUID, restored.TxID, restored.Kept
	if err != nil {
		return err
	}
	if after, err := s.briefs(ctx); err == nil && errBefore == nil {
		value.Lost, value.Found = missingIn(after, before), missingIn(before, after)
	}
	value.Check, err = fsck.Check(ctx, fsck.Options{
		Root: s.settings.root, RunRoot: s.settings.runRoot, Wait: max(s.settings.timeout, 0),
	})
	if err != nil {
		return fmt.Errorf("the backup is in place, but: %w", err)
	}
	if s.json {
		err = s.writeJSON(value)
	} else {
		s.writeRestoration(&value)
	}
	if err != nil {
		return err
	}
	return ending(statusOf(value.Check.Verdict))
}

// briefs returns all objects that have a record which can be read.
func (s *session) briefs(ctx context.Context) (all []brief, err error) {
	var damaged damages
	err = s.view(ctx, func(tx *graph.ReadTx) error {
		for _, kind := range model.Kinds {
			objects, err := loadObjects(tx, kind, &damaged)
			if err != nil {
				return err
			}
			for _, o := range objects {
				all = append(all, brief{Kind: o.Kind, ID: o.ID, Names: o.Names})
			}
		}
		return nil
	})
	return all, err
}

// missingIn returns those of all that are not among others.
func missingIn(others, all []brief) []brief {
	type key struct {
		kind model.Kind
		id   string
	}
	there := make(map[key]bool, len(others))
	for _, b := range others {
		there[key{b.Kind, b.ID}] = true
	}
	missing := []brief{}
	for _, b := range all {
		if !there[key{b.Kind, b.ID}] {
			missing = append(missing, b)
		}
	}
	return missing
}

func (s *session) writeRestoration(v *restoration) {
	fmt.Fprintf(s.Stdout, "restored from %s: store %s, up to transaction %d\n", v.File, v.UUID, v.TxID)
	if v.Kept != "" {
		fmt.Fprintf(s.Stdout, "the database that was there is kept as %s\n", v.Kept)
	}
	s.writeBriefs("not recorded any more, for it is newer than the backup", v.Lost)
	s.writeBriefs("recorded again, for it is older than the backup", v.Found)
	s.writeReport(v.Check)
}

// writeBriefs lists objects, but not too many.
func (s *session) writeBriefs(title string, all []brief) {
	for i, b := range all {
		switch i {
		case 0:
			fmt.Fprintln(s.Stdout, title)
		case maxShown:
			fmt.Fprintf(s.Stdout, "  and %d more\n", len(all)-i)
			return
		}
		fmt.Fprintf(s.Stdout, "  %s\n", describeBrief(&b))
	}
}
