package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// show is the action of the commands that show objects of one kind.
type show[T any] struct {
	json bool
	// read returns the record of the object that ref means.
	read  func(tx *graph.ReadTx, ref string) (T, error)
	write func(ctx context.Context, s *session, record T)
}

// showCommand returns the command that shows objects of a kind.
func showCommand[T any](p *program, kind model.Kind, o *show[T]) *urfave.Command {
	return p.command(urfave.Command{
		Name:  string(kind),
		Usage: fmt.Sprintf("Show %ss", kind), ArgsUsage: string(kind) + "NameOrID [...]",
		Description: fmt.Sprintf(`
What is known about each %[1]s is printed. Unknown ones are passed over; the
exit status then is 1.

Example:

  containers-storage %[1]s --json app`, kind),
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{1, unlimited}, o)
}

// run shows the objects that are there and can be read, and fails if one is not.
func (o *show[T]) run(ctx context.Context, s *session, args []string) error {
	records, unknown := []T{}, false
	var damage []error
	err := s.store.View(ctx, func(tx *graph.ReadTx) error {
		for _, ref := range args {
			record, err := o.read(tx, ref)
			switch {
			case errors.Is(err, model.ErrNotFound):
				unknown = true
			case errors.Is(err, model.ErrCorrupt):
				damage = append(damage, err)
			case err != nil:
				return err
			default:
				records = append(records, record)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = printRecords(ctx, s, records, o.json, o.write)
	if err := errors.Join(append(damage, err)...); err != nil {
		return err
	}
	if unknown {
		return errReported
	}
	return nil
}

// printRecords prints records, in JSON or as text.
func printRecords[T any](ctx context.Context, s *session, records []T, asJSON bool, write func(context.Context, *session, T)) error {
	if asJSON {
		return cli.WriteJSON(s.Stdout, records)
	}
	for _, record := range records {
		write(ctx, s, record)
	}
	return nil
}

// printEach prints a line for each value.
func (s *session) printEach(label string, values []string) {
	for _, value := range values {
		fmt.Fprintf(s.Stdout, "%s: %s\n", label, value)
	}
}

// printSize prints the size of an object, or why it is not known.
func (s *session) printSize(size int64, err error) {
	if err != nil {
		fmt.Fprintf(s.Stdout, "Size unknown: %s\n", oneLine(err))
		return
	}
	fmt.Fprintf(s.Stdout, "Size: %d\n", size)
}

// Data items are part of the records of images and containers as scripts know
// them.

func dataNames(items []model.Data) []string {
	names := slices.Grow([]string(nil), len(items)) // nil, in JSON null, if there are none
	for _, item := range items {
		names = append(names, item.Key)
	}
	return names
}

func dataSizes(items []model.Data) map[string]int64 {
	sizes := make(map[string]int64, len(items))
	for _, item := range items {
		sizes[item.Key] = item.Content.Size
	}
	return sizes
}

func dataDigests(items []model.Data) map[string]digest.Digest {
	digests := make(map[string]digest.Digest, len(items))
	for _, item := range items {
		digests[item.Key] = digestOf(item)
	}
	return digests
}

// digestOf returns the digest of a data item; that of a manifest is the one by
// which its image can be found.
func digestOf(item model.Data) digest.Digest {
	if item.ManifestDigest != "" {
		return item.ManifestDigest
	}
	return item.Content.Digest
}
