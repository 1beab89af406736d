package main

import (
	"cmp"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/drivers/builtin"
)

// settings are the flags that stand before the name of a command.
type settings struct {
	root, runRoot, driver string
	timeout               time.Duration
	json                  bool
}

// The directories in which stores are looked for, as engines do.
const (
	defaultRoot    = "/var/lib/containers/storage"
	defaultRunRoot = "/run/containers/storage"
)

// complete checks what the flags say.
func (s *settings) complete() (err error) {
	if s.driver != "" {
		s.driver, err = builtin.Registry().Canonical(s.driver)
	}
	return err
}

// flags returns the flags, whose defaults may come from environment variables.
func (s *settings) flags(getenv func(string) string) []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{
			Name: "root", Aliases: []string{"graph", "g"}, Usage: "`DIRECTORY` of the store, the graph root (or set CSDB_ROOT)",
			Value: cmp.Or(getenv("CSDB_ROOT"), defaultRoot), DefaultText: defaultRoot, Destination: &s.root,
		},
		&urfave.StringFlag{
			Name: "runroot", Aliases: []string{"run", "R"}, Usage: "`DIRECTORY` in which mounts are noted, the run root (or set CSDB_RUNROOT)",
			Value: cmp.Or(getenv("CSDB_RUNROOT"), defaultRunRoot), DefaultText: defaultRunRoot, Destination: &s.runRoot,
		},
		&urfave.StringFlag{
			Name: "driver", Aliases: []string{"s"}, Usage: "graph `DRIVER` that the store must have", Destination: &s.driver,
		},
		&urfave.DurationFlag{
			Name: "timeout", Usage: "`DURATION` to wait for programs that change the store; 0 means for ever",
			Value: time.Minute, Destination: &s.timeout,
		},
		&urfave.BoolFlag{Name: "json", Usage: "write JSON; may also stand behind the command", DisableDefaultText: true, Destination: &s.json},
	}
}
