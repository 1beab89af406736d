package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// leaseCommand has the commands for leases.
func (p *program) leaseCommand() *urfave.Command {
	c := p.command(urfave.Command{
		Name: "lease", Usage: "keep objects from being deleted for a limited time", ArgsUsage: "COMMAND",
		Description: `
A lease keeps objects from being deleted, by any program and by "csdb gc", until
it expires or is removed. It is for who is about to use them, and nothing
refers to them yet. A leased image keeps its layers, and a leased layer those
that it lies on.

Leases are kept in the run root, so that they end when the machine is booted
again. What shall stay for good gets a name, and "csdb gc" can be told to keep
it. A program that wipes the store ends all leases.`,
	}, arity{0, -1}, &noCommand{group: "lease"})
	c.Flags = nil
	for _, sub := range []*urfave.Command{p.leaseAddCommand(), p.leaseListCommand(), p.leaseRemoveCommand()} {
		sub.CustomHelpTemplate = strings.ReplaceAll(commandHelp, "{{.Name}}", "lease {{.Name}}")
		c.Subcommands = append(c.Subcommands, sub)
	}
	c.CustomHelpTemplate = groupHelp
	return c
}

// leases are those that have not expired, by object.
type leases map[model.ID][]graph.Lease

// leases returns the leases of a store that have not expired, and how many
// those are. They are unknown if the run root has none that can be read.
func (s *session) leases(ctx context.Context, store *graph.Store) (of leases, n int, err error) {
	wait, cancel := s.waiting(ctx)
	defer cancel()
	all, err := store.Leases(wait)
	of = make(leases)
	for _, lease := range all {
		if lease.Expired(s.Now()) {
			continue
		}
		n++
		for _, o := range lease.Objects {
			id := model.NewID(o.Kind, o.ID)
			of[id] = append(of[id], lease)
		}
	}
	return of, n, err
}

// describeLease names a lease, and says who took it and when it ends.
func (s *session) describeLease(l *graph.Lease) string {
	text := fmt.Sprintf("lease %s by %s[%d], expires %s", clean(l.ID), clean(l.Command), l.PID, until(s.Now(), l.Expires))
	if l.Reason != "" {
		text += ": " + clean(l.Reason)
	}
	return text
}

type leaseRemove struct{}

func (p *program) leaseRemoveCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "remove", Aliases: []string{"rm"}, Usage: "end leases", ArgsUsage: "ID...",
		Description: `
Ends leases, whether or not they have expired. What they were about stays, and
can be deleted from now on.

Examples:

  csdb lease remove nightly
  csdb lease list --json | jq -r '.[] | select(.command == "builder") | .id' | xargs csdb lease remove`,
	}, arity{1, -1}, &leaseRemove{})
}

func (o *leaseRemove) run(ctx context.Context, s *session, ids []string) error {
	removed := []string{}
	var errs []error
	err := s.store(ctx, func(store *graph.Store) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		for _, id := range ids {
			if err := store.RemoveLease(wait, id); err != nil {
				errs = append(errs, err)
				continue
			}
			removed = append(removed, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(removed)
	}
	return errors.Join(err, errors.Join(errs...))
}
