package main

import (
	"cmp"
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
)

type leaseList struct{}

func (p *program) leaseListCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "list", Aliases: []string{"ls"}, Usage: "list leases",
		Description: `
Lists all leases: when they expire, who took them, what they are about and why.
Those that have expired count for nothing, and are shown until "csdb gc" or
the next change of a lease clears them away.

Examples:

  csdb lease list
  csdb lease list --json | jq -r '.[] | select(.expired | not) | .objects[].id'`,
	}, arity{0, 0}, &leaseList{})
}

// listedLease is a lease in a list.
type listedLease struct {
	graph.Lease
	Expired bool `json:"expired"`
}

func (o *leaseList) run(ctx context.Context, s *session, _ []string) error {
	var damaged damages
	list := []listedLease{}
	err := s.with(ctx, func(store *graph.Store) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		all, err := store.Leases(wait)
		for _, l := range all {
			list = append(list, listedLease{Lease: l, Expired: l.Expired(s.Now())})
		}
		return damaged.note(err)
	})
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(list)
	} else {
		err = s.writeLeases(list)
	}
	if err != nil {
		return err
	}
	return damaged.err()
}

func (s *session) writeLeases(list []listedLease) error {
	w := s.table()
	fmt.Fprintln(w, "LEASE\tEXPIRES\tOBJECTS\tREASON\tBY")
	for _, l := range list {
		when := until(s.Now(), l.Expires)
		if l.Expired {
			when = "expired " + s.ago(l.Expires)
		}
		objects := make([]string, 0, len(l.Objects))
		for _, o := range l.Objects {
			objects = append(objects, string(o.Kind)+" "+shortID(o.ID))
		}
		reason := cmp.Or(clean(l.Reason), "-")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s[%d]\n", clean(l.ID), when, names(objects), reason, clean(l.Command), l.PID)
	}
	return w.Flush()
}
