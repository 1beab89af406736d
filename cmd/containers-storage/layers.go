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

type listLayers struct{ json, quick, tree bool }

func (p *program) layersCommand() *urfave.Command {
	o := &listLayers{}
	return p.command(urfave.Command{
		Name:  "layers",
		Usage: "List layers",
		Description: `
Layers are listed in the order of their creation, those of volatile containers
last, each with its names, with the images whose top layer it is, and with the
container that it belongs to.

Examples:

  containers-storage layers
  containers-storage layers --tree`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "quick", Aliases: []string{"q"}, Usage: "print the IDs only", Destination: &o.quick},
			&urfave.BoolFlag{Name: "tree", Aliases: []string{"t"}, Usage: "show each layer below its parent", Destination: &o.tree},
			jsonFlag(&o.json),
		},
	}, arity{0, 0}, o)
}

func (o *listLayers) run(ctx context.Context, s *session, _ []string) error {
	list := &layerList{}
	var errMounts error
	if o.tree && !o.json {
		errMounts = list.readMounts(ctx, s.store)
	}
	damage, err := s.viewReadable(ctx, func(tx *graph.ReadTx) error { return list.read(tx, o) })
	if err != nil {
		return err
	}
	return errors.Join(s.buffered(func(s *session) error { return o.print(s, list) }), errMounts, damage)
}

func (o *listLayers) print(s *session, list *layerList) error {
	switch {
	case o.json:
		return cli.WriteJSON(s.Stdout, list.records)
	case o.tree:
		list.printTree(s)
	case o.quick:
		for _, l := range list.layers {
			fmt.Fprintln(s.Stdout, l.ID)
		}
	default:
		for _, l := range list.layers {
			list.printLayer(s, l)
		}
	}
	return nil
}

// layerList has all layers and what uses them.
type layerList struct {
	layers     []*model.Layer
	images     map[model.LayerID][]*model.Image
	containers map[model.LayerID]*model.Container
	mounts     map[model.LayerID]string
	records    []layerRecord // for JSON
}

// read reads what is to be printed. If some records are damaged it reads the
// others, and returns an error that matches model.ErrCorrupt.
func (l *layerList) read(tx *graph.ReadTx, o *listLayers) error {
	layers, errLayers := tx.Layers()
	containers, errContainers := tx.Containers()
	l.containers = make(map[model.LayerID]*model.Container, len(containers))
	for _, c := range containers {
		l.containers[c.Layer] = c
	}
	volatileLast(layers, func(layer *model.Layer) bool {
		c := l.containers[layer.ID]
		return c != nil && c.Volatile()
	})
	l.layers = layers
	err := errors.Join(errLayers, errContainers)
	switch {
	case o.json:
		return errors.Join(err, l.readData(tx))
	case o.quick && !o.tree:
		return err
	}
	return errors.Join(err, l.readImages(tx))
}

func (l *layerList) readImages(tx *graph.ReadTx) error {
	images, err := tx.Images()
	l.images = make(map[model.LayerID][]*model.Image, len(images))
	for _, image := range images {
		for _, top := range image.TopLayers() {
			l.images[top] = append(l.images[top], image)
		}
	}
	return err
}

// readData makes the records for JSON.
func (l *layerList) readData(tx *graph.ReadTx) error {
	errs := make([]error, 0, len(l.layers))
	for _, layer := range l.layers {
		data, err := tx.Data(layer.ID)
		errs = append(errs, err)
		l.records = append(l.records, newLayerRecord(layer, data))
	}
	return errors.Join(errs...)
}

// readMounts reads where layers are mounted.
func (l *layerList) readMounts(ctx context.Context, store *graph.Store) error {
	mounts, err := store.Mounts(ctx)
	l.mounts = make(map[model.LayerID]string, len(mounts))
	for _, m := range mounts {
		l.mounts[m.Layer] = m.Path
	}
	return err
}

func (l *layerList) printLayer(s *session, layer *model.Layer) {
	fmt.Fprintln(s.Stdout, layer.ID)
	for _, name := range layer.Names {
		fmt.Fprintf(s.Stdout, "\tname: %s\n", name)
	}
	for _, image := range l.images[layer.ID] {
		s.printUser("image", image.ID, image.Names)
	}
	if c := l.containers[layer.ID]; c != nil {
		s.printUser("container", c.ID, c.Names)
	}
}

// printUser prints what uses a layer.
func (s *session) printUser(kind string, id model.ID, names []string) {
	fmt.Fprintf(s.Stdout, "\t%s: %s\n", kind, id)
	for _, name := range names {
		fmt.Fprintf(s.Stdout, "\t\tname: %s\n", name)
	}
}
