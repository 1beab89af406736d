package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func (p *program) containersCommand() *urfave.Command {
	o := &list[containerRecord]{read: readContainers, write: printContainerLines}
	return p.command(urfave.Command{
		Name:  "containers",
		Usage: "List containers",
		Description: `
Containers are listed in the order of their creation, volatile ones last, each
with its names and its data items.

Example:

  containers-storage containers --json`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func readContainers(tx *graph.ReadTx, _ []string) ([]containerRecord, error) {
	containers, err := tx.Containers()
	volatileLast(containers, (*model.Container).Volatile)
	records := make([]containerRecord, 0, len(containers)) // [] in JSON
	errs := append(make([]error, 0, len(containers)+1), err)
	for _, c := range containers {
		data, err := tx.Data(c.ID)
		errs = append(errs, err)
		records = append(records, newContainerRecord(c, data))
	}
	return records, errors.Join(errs...)
}

// volatileLast moves what is volatile behind the rest, in which order scripts
// expect it.
func volatileLast[T any](list []T, volatile func(T) bool) {
	rank := func(one T) int {
		if volatile(one) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b T) int { return rank(a) - rank(b) })
}

func printContainerLines(_ context.Context, s *session, c containerRecord) {
	fmt.Fprintln(s.Stdout, c.ID)
	for _, name := range c.Names {
		fmt.Fprintf(s.Stdout, "\tname: %s\n", name)
	}
	for _, name := range c.DataNames {
		fmt.Fprintf(s.Stdout, "\tdata: %s\n", name)
	}
}
