package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// holdCommand has the commands for holds.
func (p *program) holdCommand() *urfave.Command {
	c := p.command(urfave.Command{
		Name: "hold", Usage: "show and end what other stores need of this one", ArgsUsage: "COMMAND",
		Description: `
A hold keeps an object from being deleted because something in another store needs
it: a container in a graph root needs an image in an image store. The other store
makes and removes it. If that store is gone it cannot remove its holds any more;
"csdb fsck" finds those that are of no use, and "csdb repair" drops them.`,
	}, arity{0, -1}, &noCommand{group: "hold"})
	c.Flags = nil
	for _, sub := range []*urfave.Command{p.holdListCommand(), p.holdRemoveCommand()} {
		sub.CustomHelpTemplate = strings.ReplaceAll(commandHelp, "{{.Name}}", "hold {{.Name}}")
		c.Subcommands = append(c.Subcommands, sub)
	}
	c.CustomHelpTemplate = groupHelp
	return c
}

type holdList struct{}

func (p *program) holdListCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "list", Aliases: []string{"ls"}, Usage: "list holds",
		Description: `
Lists what other stores need, with the UUID of the database that needs it, and the
graph root of its store. That of volatile containers is below a run root, and
counts for nothing when the machine has been booted again.

Examples:

  csdb hold list
  csdb --root /mnt/images hold list --json | jq -r '.[].root' | sort -u`,
	}, arity{0, 0}, &holdList{})
}

// listedHold is a hold in a list.
type listedHold struct {
	db.Hold
	// Expired tells that it was for containers of an earlier boot of the machine.
	Expired bool `json:"expired"`
}

func (o *holdList) run(ctx context.Context, s *session, _ []string) error {
	boot, err := db.BootID()
	if err != nil {
		return err
	}
	var damaged damages
	list := []listedHold{}
	err = s.view(ctx, func(tx *graph.ReadTx) error {
		relations, err := tx.Relations()
		for _, h := range relations.Holds {
			list = append(list, listedHold{Hold: h, Expired: !h.Counts(boot)})
		}
		return damaged.note(err)
	})
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(list)
	} else {
		err = s.writeHolds(list)
	}
	if err != nil {
		return err
	}
	return damaged.err()
}

func (s *session) writeHolds(list []listedHold) error {
	w := s.table()
	fmt.Fprintln(w, "OBJECT\tSINCE\tSTORE\tNEEDED BY")
	for _, h := range list {
		by := holder(&h.Hold)
		if h.Expired {
			by += ", which went with an earlier boot"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\t%s\n", h.Kind, shortID(h.ID), s.ago(h.Since), clean(h.Store), clean(by))
	}
	return w.Flush()
}

// holder says where what needs an object is.
func holder(h *db.Hold) string {
	if h.RunRoot == "" {
		return h.Root
	}
	return h.Root + " with run root " + h.RunRoot
}

type holdRemove struct{ store string }

func (p *program) holdRemoveCommand() *urfave.Command {
	o := &holdRemove{}
	return p.command(urfave.Command{
		Name: "remove", Aliases: []string{"rm"}, Usage: "end the holds of a store that is gone", ArgsUsage: "[REF...]",
		Description: `
Ends the holds of one store, on all objects or on those that are named: by an ID, the
beginning of one, or a name. What that store has on top of these objects cannot be
used any more when they have been deleted.

Examples:

  csdb hold remove --store /mnt/gone
  csdb hold remove --store 2f6e8c2d-363a-456b-9767-e8ca2e0ed441 app:1`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "store", Usage: "the `STORE` that has the holds, by its graph root or its UUID", Destination: &o.store},
		},
	}, arity{0, -1}, o)
}

func (o *holdRemove) run(ctx context.Context, s *session, refs []string) error {
	if o.store == "" {
		return &usageError{command: "hold remove", err: errors.New("--store must say which store has the holds")}
	}
	removed := []db.Hold{}
	err := s.database(ctx, func(database *db.DB) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		return database.Update(wait, func(tx *db.Tx) (err error) {
			removed, err = o.remove(tx, refs)
			return err
		})
	})
	if err != nil {
		return err
	}
	if s.json {
		return s.writeJSON(removed)
	}
	fmt.Fprintf(s.Stdout, "%s ended\n", many(len(removed), "hold", "holds"))
	return nil
}

// remove removes the holds that are meant. It is an error if there are none.
func (o *holdRemove) remove(tx *db.Tx, refs []string) (removed []db.Hold, err error) {
	wanted := make(map[model.ID]bool)
	for _, ref := range refs {
		id, err := findObject(&tx.ReadTx, ref)
		if err != nil {
			return nil, err
		}
		wanted[id] = true
	}
	holds, err := tx.AllHolds()
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		if o.store != h.Store && filepath.Clean(o.store) != h.Root || len(refs) > 0 && !wanted[model.NewID(h.Kind, h.ID)] {
			continue
		}
		if err := tx.RemoveHold(h.Kind, h.ID, h.Store); err != nil {
			return nil, err
		}
		removed = append(removed, h)
	}
	if len(removed) == 0 {
		return nil, fmt.Errorf("%w: there is no such hold of the store %s", model.ErrNotFound, o.store)
	}
	return removed, nil
}

// findObject returns the object that ref means: a layer, or else an image, or else
// a container.
func findObject(tx *db.ReadTx, ref string) (model.ID, error) {
	for _, kind := range model.Kinds {
		if id, err := tx.Find(kind, ref); err == nil {
			return model.NewID(kind, id), nil
		}
	}
	return nil, fmt.Errorf("%q: %w", ref, model.ErrNotAnID)
}
