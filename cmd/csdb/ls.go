package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type ls struct{ fullIDs, quiet bool }

func (p *program) lsCommand() *urfave.Command {
	o := &ls{}
	return p.command(urfave.Command{
		Name: "ls", Usage: "list layers, images and containers", ArgsUsage: "[layers|images|containers|all]",
		Description: `
Lists what is in the store, each kind in the order of creation. The size of a
layer is that of its own content, the size of an image includes all its
layers, and a container's is that of its data items, since what it has written
is not measured. "?" stands for a size that is not known.

Examples:

  csdb ls
  csdb ls images
  csdb ls --quiet --full-ids containers
  csdb ls --json layers | jq '.[] | select(.incomplete)'`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "full-ids", Usage: "do not abbreviate IDs", DisableDefaultText: true, Destination: &o.fullIDs},
			&urfave.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "write IDs only", DisableDefaultText: true, Destination: &o.quiet},
		},
	}, arity{0, 1}, o)
}

// listed is an object in a list.
type listed struct {
	object
	// Size is in bytes, or model.SizeUnknown.
	Size int64 `json:"size"`
}

func (o *ls) run(ctx context.Context, s *session, args []string) error {
	kinds, err := kindsOf(append(args, "all")[0])
	if err != nil {
		return &usageError{command: "ls", err: err}
	}
	all := []listed{}
	var damaged damages
	err = s.view(ctx, func(tx *graph.ReadTx) error {
		for _, kind := range kinds {
			objects, err := loadObjects(tx, kind, &damaged)
			if err != nil {
				return err
			}
			for _, object := range objects {
				size, err := listedSize(tx, &object, &damaged)
				if err != nil {
					return err
				}
				all = append(all, listed{object: object, Size: size})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := o.write(s, all); err != nil {
		return err
	}
	return damaged.err()
}

// kindsOf returns the kinds that a word means.
func kindsOf(word string) ([]model.Kind, error) {
	if word == "all" {
		return model.Kinds, nil
	}
	kind := model.Kind(strings.TrimSuffix(word, "s"))
	if !slices.Contains(model.Kinds, kind) {
		return nil, fmt.Errorf("%q is none of layers, images, containers and all", word)
	}
	return []model.Kind{kind}, nil
}

// listedSize returns the size of an object that is worth knowing in a list.
func listedSize(tx *graph.ReadTx, o *object, damaged *damages) (int64, error) {
	if o.Kind == model.KindLayer {
		return layerSize(tx, o, damaged)
	}
	size, known, err := sizeOf(tx, model.NewID(o.Kind, o.ID), damaged)
	switch {
	case err != nil || !known:
		return model.SizeUnknown, err
	case o.Kind == model.KindImage:
		return size.Own + size.Shared + size.Unique, nil
	}
	return size.Own, nil
}

// layerSize returns the size of a layer's content and data items. Unlike sizeOf
// it does not look at what the layer lies on.
func layerSize(tx *graph.ReadTx, o *object, damaged *damages) (int64, error) {
	if o.content < 0 {
		return model.SizeUnknown, nil
	}
	size := o.content
	items, err := tx.Data(model.LayerID(o.ID))
	for _, item := range items {
		size += item.Content.Size
	}
	return size, damaged.note(err)
}

func (o *ls) write(s *session, all []listed) error {
	if s.json {
		return s.writeJSON(all)
	}
	id := shortID
	if o.fullIDs {
		id = clean
	}
	if o.quiet {
		for _, l := range all {
			fmt.Fprintln(s.Stdout, id(l.ID))
		}
		return nil
	}
	w := s.table()
	fmt.Fprintln(w, "KIND\tID\tNAMES\tSIZE\tCREATED")
	for _, l := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Kind, id(l.ID), names(l.Names), humanSize(l.Size), s.ago(l.Created))
	}
	return w.Flush()
}
