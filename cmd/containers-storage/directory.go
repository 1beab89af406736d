package main

import (
	"context"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// directory is the action of the commands that print a directory which belongs
// to whoever uses an object.
type directory struct {
	kind model.Kind
	get  func(s *graph.Store, ctx context.Context, id model.ID) (string, error)
}

// directoryCommands returns the commands about the directories of objects of a
// kind.
func (p *program) directoryCommands(kind model.Kind) []*urfave.Command {
	return []*urfave.Command{
		p.directoryCommand("dir", "is to last", &directory{kind: kind, get: (*graph.Store).Dir}),
		p.directoryCommand("run-dir", "need not survive a reboot", &directory{kind: kind, get: (*graph.Store).RunDir}),
	}
}

func (p *program) directoryCommand(name, lasting string, o *directory) *urfave.Command {
	name = fmt.Sprintf("get-%s-%s", o.kind, name)
	return p.command(urfave.Command{
		Name: name, Aliases: []string{strings.ReplaceAll(name, "-", "")},
		Usage:     fmt.Sprintf("Print a directory of %s for what %s", withArticle(o.kind), lasting),
		ArgsUsage: string(o.kind) + "NameOrID",
		Description: fmt.Sprintf(`
The directory belongs to whoever uses the %[1]s. It is made if it does not
exist, and goes when the %[1]s is deleted.

Example:

  containers-storage %[2]s app`, o.kind, name),
	}, arity{1, 1}, o)
}

func (o *directory) run(ctx context.Context, s *session, args []string) error {
	id, err := s.store.Find(ctx, args[0], o.kind)
	if err != nil {
		return err
	}
	dir, err := o.get(s.store, ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Stdout, dir)
	return nil
}
