package main

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// parentOwners is the action of the commands that print the owners of the
// directories above mount points.
type parentOwners struct {
	kind model.Kind
	json bool
	// find returns the ID of the object that ref means, and its layer.
	find func(tx *graph.ReadTx, ref string) (model.ID, model.LayerID, error)
	// always has a line printed for owners of which there are none.
	always bool
	doing  string // what begins the text of an error
}

func (p *program) layerOwnersCommand() *urfave.Command {
	return p.ownersCommand(&parentOwners{
		kind: model.KindLayer, doing: "LayerParentOwner",
		find: func(tx *graph.ReadTx, ref string) (model.ID, model.LayerID, error) {
			l, err := tx.Layer(ref)
			if err != nil {
				return nil, "", err
			}
			return l.ID, l.ID, nil
		},
	})
}

func (p *program) containerOwnersCommand() *urfave.Command {
	return p.ownersCommand(&parentOwners{
		kind: model.KindContainer, doing: "ContainerParentOwner", always: true,
		find: func(tx *graph.ReadTx, ref string) (model.ID, model.LayerID, error) {
			c, err := tx.Container(ref)
			if err != nil {
				return nil, "", err
			}
			return c.ID, c.Layer, nil
		},
	})
}

func (p *program) ownersCommand(o *parentOwners) *urfave.Command {
	return p.command(urfave.Command{
		Name:      string(o.kind) + "-parent-owners",
		Usage:     fmt.Sprintf("Print who owns the directories above the mount points of %ss", o.kind),
		ArgsUsage: string(o.kind) + "NameOrID [...]",
		Description: fmt.Sprintf(`
Those owners are printed that the ID mappings of the %[1]s cannot
express. What has mappings must be mounted. Unknown %[1]ss are passed
over; the exit status then is 1.

Example:

  containers-storage %[1]s-parent-owners app`, o.kind),
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{1, unlimited}, o)
}

// ownersRecord is what is printed about an object. The order of the fields is
// that of the output.
type ownersRecord struct {
	ID   string
	UIDs []int
	GIDs []int
}

// run goes on after unknown objects, and ends at any other error.
func (o *parentOwners) run(ctx context.Context, s *session, args []string) error {
	var unknown error
	for _, ref := range args {
		var id model.ID
		var layer model.LayerID
		err := s.store.View(ctx, func(tx *graph.ReadTx) (err error) {
			id, layer, err = o.find(tx, ref)
			return err
		})
		if errors.Is(err, model.ErrNotFound) {
			unknown = errReported
			continue
		}
		var owners graph.Owners
		if err == nil {
			owners, err = s.store.ParentOwners(ctx, layer)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.doing, err)
		}
		if err := o.print(s, ownersRecord{ID: id.String(), UIDs: owners.UIDs, GIDs: owners.GIDs}); err != nil {
			return err
		}
	}
	return unknown
}

func (o *parentOwners) print(s *session, r ownersRecord) error {
	if o.json {
		return cli.WriteJSON(s.Stdout, r)
	}
	fmt.Fprintf(s.Stdout, "ID: %s\n", r.ID)
	if len(r.UIDs) > 0 || o.always {
		fmt.Fprintf(s.Stdout, "UIDs: %d\n", r.UIDs)
	}
	if len(r.GIDs) > 0 || o.always {
		fmt.Fprintf(s.Stdout, "GIDs: %d\n", r.GIDs)
	}
	return nil
}
