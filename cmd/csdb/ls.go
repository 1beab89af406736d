package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type ls struct {
	fullIDs, quiet bool
	format         string
}

func (p *program) lsCommand() *urfave.Command {
	o := &ls{}
	return p.command(urfave.Command{
		Name: "ls", Usage: "list layers, images and containers", ArgsUsage: "[layers|images|containers|all] [REF...]",
		Description: `
Lists what is in the store, each kind in the order of creation. The size of a
layer is that of its own content, the size of an image includes all its
layers, and a container's is that of its data items, since what it has written
is not measured. "?" stands for a size that is not known.

With REFs only the objects that they mean are listed, in that order. A REF is an
ID, the beginning of one, or a name. It may also be a digest, of a layer's diff,
of that as it was received, of a layer's table of contents, or of an image: all
that have it are listed.

With --format, what a Go template makes of each object takes one line. The fields
are .Kind .ID .Names .Created .Size, of layers also .Parent .Incomplete .Damage, of
images .Layer (the top one) .Mapped (variants of it), and of containers .Layer
.Image.

` + formatHelp + `

Examples:

  csdb ls
  csdb ls images
  csdb ls layers sha256:$(sha256sum <layer.tar | cut -c -64)
  csdb ls --format '{{.ID}} {{join .Names " "}}' images
  csdb ls --quiet --full-ids containers
  csdb ls --json layers | jq '.[] | select(.incomplete)'`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "full-ids", Usage: "do not abbreviate IDs", DisableDefaultText: true, Destination: &o.fullIDs},
			&urfave.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "write IDs only", DisableDefaultText: true, Destination: &o.quiet},
			formatFlag(&o.format),
		},
	}, arity{0, -1}, o)
}

// listed is an object in a list.
type listed struct {
	object
	// Size is in bytes, or model.SizeUnknown.
	Size int64 `json:"size"`
}

func (o *ls) run(ctx context.Context, s *session, args []string) error {
	f, err := newFormatter(s, "ls", o.format)
	if err != nil {
		return err
	}
	if f != nil && o.quiet {
		return &usageError{command: "ls", err: errors.New("--format and --quiet exclude each other")}
	}
	kinds, refs := kindsOf(args)
	l := listing{all: []listed{}}
	err = s.view(ctx, func(tx *graph.ReadTx) error {
		if len(refs) > 0 {
			return l.find(tx, refs, kinds)
		}
		return l.load(tx, kinds)
	})
	if err != nil {
		return err
	}
	if f != nil {
		err = writeFormatted(s, f, l.all)
	} else {
		err = o.write(s, l.all)
	}
	if err != nil {
		return err
	}
	return errors.Join(l.damaged.err(), errors.Join(l.missing...))
}

// kindsOf takes the word for kinds of objects off the arguments.
func kindsOf(args []string) (kinds []model.Kind, refs []string) {
	if len(args) == 0 || args[0] == "all" {
		return model.Kinds, args[min(len(args), 1):]
	}
	kind := model.Kind(strings.TrimSuffix(args[0], "s"))
	if !slices.Contains(model.Kinds, kind) {
		return model.Kinds, args
	}
	return []model.Kind{kind}, args[1:]
}

// listing is what came of listing objects.
type listing struct {
	all     []listed
	missing []error
	damaged damages
}

// load lists all objects of some kinds.
func (l *listing) load(tx *graph.ReadTx, kinds []model.Kind) error {
	for _, kind := range kinds {
		objects, err := loadObjects(tx, kind, &l.damaged)
		if err != nil {
			return err
		}
		for _, object := range objects {
			if err := l.add(tx, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// find lists the objects that refs mean, each once.
func (l *listing) find(tx *graph.ReadTx, refs []string, kinds []model.Kind) error {
	seen := make(map[model.ID]bool)
	return findEach(tx, refs, kinds, &l.damaged, &l.missing, func(id model.ID) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		object, err := loadObject(tx, id)
		if err == nil {
			err = l.add(tx, object)
		}
		return l.damaged.note(err)
	})
}

func (l *listing) add(tx *graph.ReadTx, o object) error {
	size, err := listedSize(tx, &o, &l.damaged)
	if err == nil {
		l.all = append(l.all, listed{object: o, Size: size})
	}
	return err
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
