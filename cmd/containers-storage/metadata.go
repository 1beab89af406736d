package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

type getMetadata struct{ quiet, json bool }

func (p *program) metadataCommand() *urfave.Command {
	o := &getMetadata{}
	return p.command(urfave.Command{
		Name:  "metadata",
		Usage: "Print the metadata of layers, images or containers", ArgsUsage: anyObject + " [...]",
		Description: `
One newline at the end of the metadata is not printed.

Example:

  containers-storage metadata --quiet app`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print the metadata only", Destination: &o.quiet},
			jsonFlag(&o.json),
		},
	}, arity{1, unlimited}, o)
}

func (o *getMetadata) run(ctx context.Context, s *session, args []string) error {
	found, unknown := make(map[string]string), false
	err := s.store.View(ctx, func(tx *graph.ReadTx) error {
		for _, ref := range args {
			id, err := tx.Find(ref)
			if errors.Is(err, model.ErrNotFound) {
				unknown = true
				continue
			}
			if err != nil {
				return err
			}
			text, err := tx.Metadata(id)
			if err != nil {
				return err
			}
			found[ref] = strings.TrimSuffix(text, "\n")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := o.print(s, args, found); err != nil {
		return err
	}
	if unknown {
		return errReported
	}
	return nil
}

func (o *getMetadata) print(s *session, refs []string, found map[string]string) error {
	if o.json {
		return cli.WriteJSON(s.Stdout, found)
	}
	for _, ref := range refs {
		if !o.quiet {
			fmt.Fprintf(s.Stdout, "%s: ", ref)
		}
		fmt.Fprintln(s.Stdout, found[ref])
	}
	return nil
}

type setMetadata struct{ metadata }

func (p *program) setMetadataCommand() *urfave.Command {
	o := &setMetadata{}
	return p.command(urfave.Command{
		Name: "set-metadata", Aliases: []string{"setmetadata"},
		Usage: "Replace the metadata of a layer, an image or a container", ArgsUsage: anyObject,
		Description: `
Example:

  containers-storage set-metadata --metadata '{"built-by":"ci"}' app`,
		Flags: o.metadata.flags(),
	}, arity{1, 1}, o)
}

func (o *setMetadata) run(ctx context.Context, s *session, args []string) error {
	if o.text == "" && o.file == "" {
		return fmt.Errorf("%w: no new metadata provided", model.ErrInvalid)
	}
	text, err := o.metadata.get()
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *graph.Tx) error {
		id, err := tx.Find(args[0])
		if err != nil {
			return err
		}
		return tx.SetMetadata(id, text)
	})
}
