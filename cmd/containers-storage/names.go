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

// nameCommands returns the commands about what objects of all kinds have.
func (p *program) nameCommands() []*urfave.Command {
	return []*urfave.Command{
		p.existsCommand(),
		p.getNamesCommand(),
		p.changeNamesCommand("add", "Give names to a layer, an image or a container", (*graph.Store).AddNames),
		p.changeNamesCommand("remove", "Take names from a layer, an image or a container", (*graph.Store).RemoveNames),
		p.changeNamesCommand("set", "Replace the names of a layer, an image or a container", (*graph.Store).SetNames),
		p.metadataCommand(),
		p.setMetadataCommand(),
	}
}

// anyObject is how the usage calls an object of any kind.
const anyObject = "layerImageOrContainerNameOrID"

type getNames struct{ json bool }

func (p *program) getNamesCommand() *urfave.Command {
	o := &getNames{}
	return p.command(urfave.Command{
		Name: "get-names", Aliases: []string{"getnames"},
		Usage: "Print the names of a layer, an image or a container", ArgsUsage: anyObject,
		Description: `
Example:

  containers-storage get-names app`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{1, 1}, o)
}

func (o *getNames) run(ctx context.Context, s *session, args []string) error {
	names := []string{}
	err := s.store.View(ctx, func(tx *graph.ReadTx) error {
		id, err := findNamed(tx, args[0])
		if err != nil {
			return err
		}
		all, err := tx.Names(id)
		names = append(names, all...)
		return err
	})
	if err != nil {
		return err
	}
	return s.printNames(names, o.json)
}

// findNamed returns the ID of the object that ref means. If there is none, the
// error is the one that scripts know, which speaks of layers.
func findNamed(tx *graph.ReadTx, ref string) (model.ID, error) {
	id, err := tx.Find(ref)
	if errors.Is(err, model.ErrNotFound) {
		err = model.Unknown(model.KindLayer, ref)
	}
	return id, err
}

// changeNames is the action of the commands that change names.
type changeNames struct {
	names  []string
	json   bool
	change renaming
}

// renaming is a method of the store.
type renaming func(s *graph.Store, ctx context.Context, id model.ID, names ...string) ([]string, error)

func (p *program) changeNamesCommand(verb, usage string, change renaming) *urfave.Command {
	o := &changeNames{change: change}
	name := verb + "-names"
	return p.command(urfave.Command{
		Name: name, Aliases: []string{strings.ReplaceAll(name, "-", "")},
		Usage: usage, ArgsUsage: anyObject,
		Description: fmt.Sprintf(`
A name that another object of the same kind has is taken away from that one.

Example:

  containers-storage %s --name app:1 --name app:latest app`, name),
		Flags: []urfave.Flag{
			&cli.ListFlag{Name: "name", Aliases: []string{"n"}, Usage: "name to " + verb + ", may be repeated", Destination: &o.names},
			jsonFlag(&o.json),
		},
	}, arity{1, unlimited}, o)
}

// run changes the names of the first argument; scripts may give more of them.
func (o *changeNames) run(ctx context.Context, s *session, args []string) error {
	var id model.ID
	err := s.store.View(ctx, func(tx *graph.ReadTx) (err error) {
		id, err = findNamed(tx, args[0])
		return err
	})
	if err != nil {
		return err
	}
	all, err := o.change(s.store, ctx, id, o.names...)
	if err != nil || !o.json {
		return err
	}
	names := append([]string(nil), all...) // null in JSON if there are none
	return cli.WriteJSON(s.Stdout, names)
}
