package main

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/config"
)

// mountCommands returns the commands about mounts.
func (p *program) mountCommands() []*urfave.Command {
	return []*urfave.Command{p.mountCommand(), p.unmountCommand(), p.mountedCommand()}
}

type mount struct {
	label, options string
	readOnly, json bool
}

func (p *program) mountCommand() *urfave.Command {
	o := &mount{}
	return p.command(urfave.Command{
		Name:  "mount",
		Usage: "Mount containers, layers or images", ArgsUsage: "containerOrLayerNameOrID [...]",
		Description: `
The mount point of each is printed. Mounts are counted: it takes as many calls
of unmount to undo them. With --read-only the arguments are images.

Examples:

  containers-storage mount web
  containers-storage mount --read-only registry.example/app:1`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "label", Aliases: []string{"l"}, Usage: "SELinux label", Destination: &o.label},
			&urfave.StringFlag{Name: "opt", Aliases: []string{"o"}, Usage: "accepted, and without effect", Destination: &o.options},
			&urfave.BoolFlag{Name: "read-only", Aliases: []string{"ro", "r"}, Usage: "mount images, for reading", Destination: &o.readOnly},
			jsonFlag(&o.json),
		},
	}, arity{1, unlimited}, o)
}

// mountResult is what became of one argument of mount.
type mountResult struct {
	ID         string `json:"id"`
	Mountpoint string `json:"mountpoint"`
	Error      string `json:"error"`
}

func (o *mount) run(ctx context.Context, s *session, args []string) error {
	mount := s.store.Mount
	if o.readOnly {
		mount = s.store.MountImage
	}
	options := graph.MountOptions{Label: o.label, NoVolatile: s.config.Bool(config.DisableVolatile)}
	var results []mountResult
	var failed error
	for _, ref := range args {
		path, err := mount(ctx, ref, options)
		results = append(results, mountResult{ID: ref, Mountpoint: path, Error: reason(ref, err)})
		if err != nil {
			failed = errReported
		}
		if o.json {
			continue
		}
		fmt.Fprintln(s.Stdout, path) // an empty line for what is not mounted
		if err != nil {
			fmt.Fprintf(s.Stderr, "%s while mounting %s\n", reason(ref, err), ref)
		}
	}
	if o.json {
		if err := cli.WriteJSON(s.Stdout, results); err != nil {
			return err
		}
	}
	return failed
}
