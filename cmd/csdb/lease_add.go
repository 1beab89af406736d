package main

import (
	"context"
	"fmt"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type leaseAdd struct {
	length           time.Duration
	id, reason, kind string
}

func (p *program) leaseAddCommand() *urfave.Command {
	o := &leaseAdd{}
	return p.command(urfave.Command{
		Name: "add", Usage: "lease objects", ArgsUsage: "REF...",
		Description: `
Takes a lease on objects, and writes its ID. All of them are there then, and none
can be deleted before the lease ends; if one does not exist, there is no lease.

A REF is an ID, the beginning of one, or a name; layers are tried first, then
images, then containers.

Examples:

  csdb lease add docker.io/library/app:1
  csdb lease add --for 2h --id nightly --reason 'build 17' base-layer app:1
  lease=$(csdb lease add --kind image app:1) && ... && csdb lease remove "$lease"`,
		Flags: []urfave.Flag{
			&urfave.DurationFlag{Name: "for", Usage: "`DURATION` until the lease expires, at most " + hours(graph.MaxLease), Value: graph.DefaultLease, DefaultText: hours(graph.DefaultLease), Destination: &o.length},
			&urfave.StringFlag{Name: "id", Usage: "`ID` of the lease: letters, digits and . _ -", DefaultText: "random", Destination: &o.id},
			&urfave.StringFlag{Name: "reason", Usage: "`TEXT` that says what the objects are kept for", Destination: &o.reason},
			&urfave.StringFlag{Name: "kind", Usage: "`KIND` of the objects: layer, image or container", Destination: &o.kind},
		},
	}, arity{1, -1}, o)
}

// hours writes a duration as it would be typed.
func hours(d time.Duration) string { return fmt.Sprintf("%dh", d/time.Hour) }

func (o *leaseAdd) run(ctx context.Context, s *session, refs []string) error {
	kinds, err := kindsNamed("lease add", o.kind)
	if err != nil {
		return err
	}
	if o.length <= 0 { // not what 0 means to the library
		return &usageError{command: "lease add", err: fmt.Errorf("--for %v: not a duration that is to come", o.length)}
	}
	spec := graph.LeaseSpec{ID: o.id, Reason: o.reason, For: o.length}
	if s.flagged("id") {
		if err := model.ValidateLeaseID(o.id); err != nil {
			return &usageError{command: "lease add", err: err}
		}
	}
	var lease *graph.Lease
	err = s.store(ctx, func(store *graph.Store) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		err := store.View(wait, func(tx *graph.ReadTx) error {
			for _, ref := range refs {
				id, err := tx.Find(ref, kinds...)
				if err != nil {
					return err
				}
				spec.Objects = append(spec.Objects, id)
			}
			return nil
		})
		if err == nil {
			lease, err = store.AddLease(wait, spec)
		}
		return err
	})
	if err != nil {
		return err
	}
	if s.json {
		return s.writeJSON(lease)
	}
	_, err = fmt.Fprintln(s.Stdout, lease.ID)
	return err
}
