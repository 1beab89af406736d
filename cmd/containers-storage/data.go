package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	urfave "github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// dataCommands returns the commands about the data items of objects of a kind.
func (p *program) dataCommands(kind model.Kind) []*urfave.Command {
	commands := []*urfave.Command{p.listDataCommand(kind), p.getDataCommand(kind), p.setDataCommand(kind)}
	if kind != model.KindLayer {
		commands = append(commands,
			p.dataFactCommand(kind, "size", func(item *model.Data) string { return fmt.Sprint(item.Content.Size) }, model.ErrSizeUnknown),
			p.dataFactCommand(kind, "digest", func(item *model.Data) string { return digestOf(*item).String() }, model.ErrDigestUnknown),
		)
	}
	return commands
}

// dataCommand completes the description of a command about data items. verb
// and fact make its name, for instance get-image-data-size.
func (p *program) dataCommand(kind model.Kind, verb, fact string, c urfave.Command, takes arity, a action) *urfave.Command {
	c.Name = verb + "-" + string(kind) + "-data"
	if fact != "" {
		c.Name += "-" + fact
	}
	c.Aliases = []string{strings.ReplaceAll(c.Name, "-", "")}
	c.ArgsUsage = string(kind) + "NameOrID"
	if takes.max > 1 {
		c.ArgsUsage += " dataName"
	}
	return p.command(c, takes, a)
}

// withArticle returns the name of a kind as a sentence needs it.
func withArticle(kind model.Kind) string {
	if kind == model.KindImage {
		return "an image"
	}
	return "a " + string(kind)
}

type listData struct {
	kind model.Kind
	json bool
}

func (p *program) listDataCommand(kind model.Kind) *urfave.Command {
	o := &listData{kind: kind}
	return p.dataCommand(kind, "list", "", urfave.Command{
		Usage:       fmt.Sprintf("List the data items of %s", withArticle(kind)),
		Description: fmt.Sprintf("\nExample:\n\n  containers-storage list-%s-data app", kind),
		Flags:       []urfave.Flag{jsonFlag(&o.json)},
	}, arity{1, 1}, o)
}

func (o *listData) run(ctx context.Context, s *session, args []string) error {
	var names []string
	err := s.viewObject(ctx, o.kind, args[0], func(tx *graph.ReadTx, id model.ID) error {
		items, err := tx.Data(id)
		names = dataNames(items)
		return err
	})
	if err != nil {
		return err
	}
	return s.printNames(names, o.json)
}

// viewObject runs fn with a picture of the store and the ID of the object that
// ref means.
func (s *session) viewObject(ctx context.Context, kind model.Kind, ref string, fn func(*graph.ReadTx, model.ID) error) error {
	return s.store.View(ctx, func(tx *graph.ReadTx) error {
		id, err := tx.Find(ref, kind)
		if err != nil {
			return err
		}
		return fn(tx, id)
	})
}

// printNames prints names, one in a line.
func (s *session) printNames(names []string, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(s.Stdout, names)
	}
	for _, name := range names {
		fmt.Fprintln(s.Stdout, name)
	}
	return nil
}

type getData struct {
	kind model.Kind
	file string
}

func (p *program) getDataCommand(kind model.Kind) *urfave.Command {
	o := &getData{kind: kind}
	return p.dataCommand(kind, "get", "", urfave.Command{
		Usage:       fmt.Sprintf("Print a data item of %s", withArticle(kind)),
		Description: fmt.Sprintf("\nExample:\n\n  containers-storage get-%s-data --file config.json app config", kind),
		Flags:       []urfave.Flag{outputFlag(&o.file)},
	}, arity{2, 2}, o)
}

// outputFlag returns the flag that names a file to write.
func outputFlag(destination *string) urfave.Flag {
	return &urfave.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "write to a file instead of the standard output", Destination: destination}
}

func (o *getData) run(ctx context.Context, s *session, args []string) error {
	var file *os.File
	var item *model.Data
	err := s.viewObject(ctx, o.kind, args[0], func(tx *graph.ReadTx, id model.ID) (err error) {
		file, item, err = tx.OpenData(id, args[1])
		return err
	})
	if errors.Is(err, model.ErrDataUnknown) && o.kind == model.KindContainer {
		return fmt.Errorf("%w: %w", err, unix.ENOENT) // the words that scripts look for
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return s.WriteOutput(o.file, func(w io.Writer) error {
		// What is not what was stored is an error, though it may have been
		// printed when that is found out.
		verifier := item.Content.Digest.Verifier()
		if _, err := io.Copy(io.MultiWriter(w, verifier), file); err != nil {
			return err
		}
		if !verifier.Verified() {
			return fmt.Errorf("data item %q: %w: its digest is not %s", args[1], model.ErrCorrupt, item.Content.Digest)
		}
		return nil
	})
}

type setData struct {
	kind model.Kind
	file string
}

func (p *program) setDataCommand(kind model.Kind) *urfave.Command {
	o := &setData{kind: kind}
	return p.dataCommand(kind, "set", "", urfave.Command{
		Usage:       fmt.Sprintf("Store a data item of %s", withArticle(kind)),
		Description: fmt.Sprintf("\nExample:\n\n  containers-storage set-%s-data --file config.json app config", kind),
		Flags:       []urfave.Flag{inputFlag(&o.file)},
	}, arity{2, 2}, o)
}

func (o *setData) run(ctx context.Context, s *session, args []string) (err error) {
	id, err := s.store.Find(ctx, args[0], o.kind)
	if err != nil {
		return err
	}
	in, err := s.OpenInput(ctx, o.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return s.store.SetData(ctx, id, args[1], in)
}

// dataFact is the action of the commands that print one thing about a data
// item.
type dataFact struct {
	kind    model.Kind
	fact    func(*model.Data) string
	unknown error // for an item that does not exist
}

func (p *program) dataFactCommand(kind model.Kind, name string, fact func(*model.Data) string, unknown error) *urfave.Command {
	o := &dataFact{kind: kind, fact: fact, unknown: unknown}
	return p.dataCommand(kind, "get", name, urfave.Command{
		Usage:       fmt.Sprintf("Print the %s of a data item of %s", name, withArticle(kind)),
		Description: fmt.Sprintf("\nExample:\n\n  containers-storage get-%s-data-%s app config", kind, name),
	}, arity{2, 2}, o)
}

func (o *dataFact) run(ctx context.Context, s *session, args []string) error {
	var item *model.Data
	err := s.viewObject(ctx, o.kind, args[0], func(tx *graph.ReadTx, id model.ID) (err error) {
		item, err = tx.DataItem(id, args[1])
		return err
	})
	if errors.Is(err, model.ErrDataUnknown) {
		return fmt.Errorf("%w: %w", err, o.unknown)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(s.Stdout, o.fact(item))
	return nil
}
