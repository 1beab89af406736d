package main

import (
	"context"
	"fmt"
	"runtime/debug"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// storeCommands returns the commands about the store as a whole.
func (p *program) storeCommands() []*urfave.Command {
	return []*urfave.Command{p.statusCommand(), p.versionCommand(), p.configCommand(), p.unshareCommand(), p.copyCommand(), p.checkCommand(), p.gcCommand(), p.dedupCommand(), p.shutdownCommand(), p.wipeCommand()}
}

// pairs is what status and version print: names and values in a fixed order.
type pairs [][2]string

// write writes the pairs: as text to the standard error, where scripts look
// for it.
func (list pairs) write(s *session, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(s.Stdout, list)
	}
	for _, pair := range list {
		fmt.Fprintf(s.Stderr, "%s: %s\n", pair[0], pair[1])
	}
	return nil
}

type status struct{ json bool }

func (p *program) statusCommand() *urfave.Command {
	o := &status{}
	return p.command(urfave.Command{
		Name:  "status",
		Usage: "Describe the store and its driver",
		Description: `
The description goes to the standard error, unless it is to be JSON.

Example:

  containers-storage status`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func (o *status) run(ctx context.Context, s *session, _ []string) error {
	list := pairs{
		{"Root", s.store.Root()},
		{"Run Root", s.store.RunRoot()},
		{"Driver Name", s.store.DriverName()},
		{"Driver Options", fmt.Sprint(s.store.DriverOptions())},
	}
	driver, err := s.store.DriverStatus(ctx)
	if err != nil {
		return err
	}
	for _, pair := range driver {
		list = append(list, [2]string{pair.Name, pair.Value})
	}
	return list.write(s, o.json)
}

type showVersion struct{ json bool }

func (p *program) versionCommand() *urfave.Command {
	o := &showVersion{}
	return p.command(urfave.Command{
		Name:  "version",
		Usage: "Print the version of the program",
		Description: `
It goes to the standard error, unless it is to be JSON.

Example:

  containers-storage version`,
		Flags: []urfave.Flag{jsonFlag(&o.json)},
	}, arity{0, 0}, o)
}

func (o *showVersion) run(_ context.Context, s *session, _ []string) error {
	return pairs{{"Version", programVersion()}}.write(s, o.json)
}

// programVersion returns the version of the program, as far as it is known.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
