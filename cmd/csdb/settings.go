package main

import (
	"errors"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/config"
)

// settings are the flags that stand before the name of a command.
type settings struct {
	root, runRoot, driver string
	timeout               time.Duration
	json                  bool

	config    *config.Config // nil if it cannot be read
	configErr error          // why
}

// configured returns settings that follow the environment, and what that leaves
// open the file storage.conf.
func configured(env cli.Env) (s settings) {
	s.root, s.runRoot = env.Getenv(rootVariable), env.Getenv(runRootVariable)
	if s.config, s.configErr = config.Load(env.ConfigHost()); s.configErr != nil {
		return s
	}
	if s.root != "" {
		s.config.Set(config.GraphRoot, s.root, config.Source{Variable: rootVariable})
	}
	if s.runRoot != "" {
		s.config.Set(config.RunRoot, s.runRoot, config.Source{Variable: runRootVariable})
	}
	s.root, s.runRoot = s.config.Text(config.GraphRoot), s.config.Text(config.RunRoot)
	return s
}

// Variables that say where the store is.
const (
	rootVariable    = "CSDB_ROOT"
	runRootVariable = "CSDB_RUNROOT"
)

// located returns why it is not known where the store is, nil if it is known.
// Nothing else in the configuration matters to those who look.
func (s *settings) located() error {
	var faults []error
	for _, dir := range []struct {
		path string
		key  config.Key
	}{{s.root, config.GraphRoot}, {s.runRoot, config.RunRoot}} {
		switch {
		case dir.path != "":
		case s.configErr != nil:
			return s.configErr
		default:
			_, err := s.config.Path(dir.key)
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// complete checks what the flags say.
func (s *settings) complete() (err error) {
	if s.driver != "" {
		s.driver, err = builtin.Registry().Canonical(s.driver)
	}
	return err
}

// flags returns the flags. Their defaults depend on the machine, what the help
// says about them does not.
func (s *settings) flags() []urfave.Flag {
	root, runRoot := config.DefaultPaths()
	return []urfave.Flag{
		&urfave.StringFlag{
			Name: "root", Aliases: []string{"graph", "g"}, Usage: "`DIRECTORY` of the store, the graph root (or set CSDB_ROOT)",
			Value: s.root, DefaultText: "graphroot in storage.conf, or " + root, Destination: &s.root,
		},
		&urfave.StringFlag{
			Name: "runroot", Aliases: []string{"run", "R"}, Usage: "`DIRECTORY` in which mounts are noted, the run root (or set CSDB_RUNROOT)",
			Value: s.runRoot, DefaultText: "runroot in storage.conf, or " + runRoot, Destination: &s.runRoot,
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
