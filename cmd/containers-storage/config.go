package main

import (
	"context"
	"errors"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/config"
)

type showConfig struct{}

func (p *program) configCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name:  "config",
		Usage: "Print the configuration as JSON", ArgsUsage: "[file]",
		Description: `
Without a file, it is that of the store that is opened if no flag says
otherwise. Of a file it is what that says, with the paths and drivers that
variables put in their place. "csdb config" shows what is from where.

Examples:

  containers-storage config
  containers-storage config /etc/containers/storage.conf`,
	}, arity{0, 1}, &showConfig{})
}

// storeOptions is a configuration in the form that scripts know.
type storeOptions struct {
	RunRoot             string            `json:"runroot,omitempty"`
	GraphRoot           string            `json:"root,omitempty"`
	ImageStore          string            `json:"imagestore,omitempty"`
	RootlessStoragePath string            `json:"RootlessStoragePath"`
	Driver              string            `json:"driver,omitempty"`
	DriverPriority      []string          `json:"driver-priority,omitempty"`
	DriverOptions       []string          `json:"driver-options,omitempty"`
	AutoUsernsUser      string            `json:"root_auto_ns_user,omitempty"`
	AutoUsernsMinSize   int64             `json:"auto_userns_min_size,omitempty"`
	AutoUsernsMaxSize   int64             `json:"auto_userns_max_size,omitempty"`
	PullOptions         map[string]string `json:"PullOptions"`
	DisableVolatile     bool              `json:"disable-volatile,omitempty"`
	TransientStore      bool              `json:"transient_store,omitempty"`
}

func (o *showConfig) run(_ context.Context, s *session, args []string) error {
	c, err := config.Load(s.ConfigHost())
	if len(args) > 0 {
		c, err = config.ReadFile(s.ConfigHost(), args[0])
	}
	if err != nil {
		return err
	}
	graphRoot, errGraph := c.Path(config.GraphRoot)
	runRoot, errRun := c.Path(config.RunRoot)
	if err := errors.Join(errGraph, errRun); err != nil {
		return err
	}
	pull, _ := c.Get(config.PullOptions).Value.(map[string]string)
	return cli.WriteJSON(s.Stdout, storeOptions{
		RunRoot: runRoot, GraphRoot: graphRoot, ImageStore: c.Text(config.ImageStore),
		RootlessStoragePath: c.Text(config.RootlessStoragePath),
		Driver:              c.Text(config.Driver), DriverPriority: c.List(config.DriverPriority), DriverOptions: c.DriverOptions(),
		AutoUsernsUser: c.Text(config.AutoUsernsUser), AutoUsernsMinSize: c.Number(config.AutoUsernsMinSize),
		AutoUsernsMaxSize: c.Number(config.AutoUsernsMaxSize), PullOptions: pull,
		DisableVolatile: c.Bool(config.DisableVolatile), TransientStore: c.Bool(config.TransientStore),
	})
}
