package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
)

type dbForsake struct{ yes, dryRun bool }

func (p *program) dbForsakeCommand() *urfave.Command {
	o := &dbForsake{}
	return p.command(urfave.Command{
		Name: "forsake", Usage: "give up transactions that nobody can decide any more",
		Description: `
A transaction may change several stores at once: an image store, say, and a
graph root. If a program dies in the middle of one, the next program finds out
from the store that knows the outcome what has become of it. If that store is
gone for good, or not mounted, nobody knows, and until somebody does this store
can only be read.

Shows such transactions, with the root of the store that knows, asks, and gives
up this store's part of them: it stays as it was before. If the other store comes
back, and they have taken effect there, the two do not fit together any more;
"csdb fsck" shows what is missing. What can still be found out is settled, and
not given up.

Examples:

  csdb db forsake --dry-run
  csdb db forsake --yes`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show them, and change nothing", DisableDefaultText: true, Destination: &o.dryRun},
			&urfave.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", DisableDefaultText: true, Destination: &o.yes},
		},
	}, arity{0, 0}, o)
}

// undecided is a transaction of which nobody knows whether it has taken effect.
type undecided struct {
	Tx          string    `json:"tx"`
	Coordinator string    `json:"coordinator"` // UUID of the store that knows
	Root        string    `json:"root"`        // where that was
	PID         int       `json:"pid"`
	Command     string    `json:"command"`
	Since       time.Time `json:"since"`
	Changes     int       `json:"changes"`
}

// forsaken tells what is undecided, and whether it has been given up.
type forsaken struct {
	Undecided []undecided `json:"undecided"`
	Forsaken  bool        `json:"forsaken"`
}

func newForsaken(all []db.Prepared) forsaken {
	v := forsaken{Undecided: []undecided{}}
	for _, p := range all {
		v.Undecided = append(v.Undecided, undecided{
			Tx: p.Tx, Coordinator: p.Coordinator, Root: p.Root, PID: p.PID, Command: p.Command, Since: p.Since, Changes: len(p.Steps),
		})
	}
	return v
}

func (o *dbForsake) run(ctx context.Context, s *session, _ []string) error {
	return s.database(ctx, func(database *db.DB) error {
		var found []db.Prepared
		err := database.View(ctx, func(tx *db.ReadTx) (err error) {
			found, err = tx.Prepared()
			return err
		})
		if err != nil {
			return err
		}
		v := newForsaken(found)
		if !s.json {
			s.writeUndecided(v.Undecided)
		}
		if len(found) > 0 && !o.dryRun {
			if err := o.forsake(ctx, s, database, &v); err != nil {
				return err
			}
		}
		if s.json {
			return s.writeJSON(v)
		}
		return nil
	})
}

// forsake gives the transactions up, if that is wanted.
func (o *dbForsake) forsake(ctx context.Context, s *session, database *db.DB, v *forsaken) error {
	if !o.yes {
		if err := s.ask("Give up this store's part of it?", "--yes"); err != nil {
			return err
		}
	}
	done, err := database.Forsake(ctx)
	if err != nil {
		return err
	}
	*v = newForsaken(done)
	v.Forsaken = len(done) > 0
	if s.json {
		return nil
	}
	if !v.Forsaken {
		return errors.New("somebody has settled it meanwhile")
	}
	fmt.Fprintln(s.Stdout, "given up; see csdb fsck")
	return nil
}

func (s *session) writeUndecided(all []undecided) {
	if len(all) == 0 {
		fmt.Fprintln(s.Stdout, "nothing is undecided")
	}
	for _, u := range all {
		fmt.Fprintf(s.Stdout, "transaction %s of process %d (%s), %s: %d changes\n", u.Tx, u.PID, clean(u.Command), s.ago(u.Since), u.Changes)
		fmt.Fprintf(s.Stdout, "  the store %s in %s knows whether it has taken effect\n", u.Coordinator, clean(u.Root))
	}
}
