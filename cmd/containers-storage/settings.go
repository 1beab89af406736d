package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/internal/userns"
	"github.com/csdb/csdb/model"
)

// settings are what the flags that every command has say about the store. What
// no flag says, the configuration does, flag by flag.
type settings struct {
	root, runRoot, imageStore string
	driver                    string
	driverOptions             []string
	transient, debug, unshare bool
	user                      userns.State

	host      config.Host
	config    *config.Config // nil if it cannot be read
	configErr error          // why
	// passedOver says why no file of the configuration is heeded.
	passedOver error
	// flagged tells whether a flag has been given.
	flagged func(name string) bool
}

// configured reads the configuration and returns settings that follow it.
func configured(env cli.Env) settings {
	s := settings{host: env.ConfigHost(), user: env.User, flagged: func(string) bool { return false }}
	s.unshare = s.user == userns.Powerless
	s.config, s.configErr = config.Load(s.host)
	if s.config != nil {
		s.root, s.runRoot = s.config.Text(config.GraphRoot), s.config.Text(config.RunRoot)
		s.driver, s.driverOptions = s.config.Text(config.Driver), s.config.DriverOptions()
		s.imageStore, s.transient = s.config.Text(config.ImageStore), s.config.Bool(config.TransientStore)
	}
	return s
}

// flags returns the flags that every command has.
func (s *settings) flags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.BoolFlag{Name: "debug", Aliases: []string{"D"}, Usage: "print debugging information", Destination: &s.debug},
		&urfave.StringFlag{Name: "graph", Aliases: []string{"g"}, Usage: "root directory of what is to last", Value: s.root, Destination: &s.root},
		&urfave.StringFlag{Name: "image-store", Usage: "root directory of a separate store for images", Value: s.imageStore, Destination: &s.imageStore},
		&urfave.StringFlag{Name: "run", Aliases: []string{"R"}, Usage: "root directory of what need not survive a reboot", Value: s.runRoot, Destination: &s.runRoot},
		&urfave.StringFlag{Name: "storage-driver", Aliases: []string{"s"}, Usage: "storage driver to use ($STORAGE_DRIVER)", Value: s.driver, Destination: &s.driver},
		&cli.ListFlag{Name: "storage-opt", Usage: "option of the storage driver, may be repeated ($STORAGE_OPTS)", Value: s.driverOptions, Destination: &s.driverOptions},
		&urfave.BoolFlag{Name: "transient-store", Usage: "forget new containers at the next reboot", Value: s.transient, Destination: &s.transient},
		&urfave.BoolFlag{Name: "unshare", Aliases: []string{"U"}, Usage: "run in a user namespace of its own", Value: s.unshare, Destination: &s.unshare},
	}
}

// check reports everything that cannot be as the flags want it.
func (s *settings) check() error {
	var faults []error
	for flag, key := range map[string]config.Key{"--graph": config.GraphRoot, "--run": config.RunRoot} {
		switch path, err := s.config.Path(key); {
		case err != nil:
			faults = append(faults, err)
		case path == "":
			faults = append(faults, fmt.Errorf("%s: the path is empty: %w", flag, model.ErrInvalid))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(append(faults, s.config.Check(builtin.Registry().Canonical))...)
}

// complete puts what flags say into the configuration. If they say where the store
// is, a file that cannot be used is passed over: whoever uses such flags need not
// know of it.
func (s *settings) complete() error {
	err := s.merge()
	if err == nil || !s.flagged("graph") || !s.flagged("run") {
		return err
	}
	s.passedOver = err
	s.config, s.configErr = config.WithoutFiles(s.host), nil
	return s.merge()
}

// merge puts what flags say into the configuration, in which the one may decide
// about the other: options are those of the driver that a flag names.
func (s *settings) merge() error {
	if s.configErr != nil {
		return s.configErr
	}
	driver := s.driver
	if name, err := builtin.Registry().Canonical(driver); err == nil {
		driver = name
	}
	for _, given := range []struct {
		flag, value string
		key         config.Key
	}{{"graph", s.root, config.GraphRoot}, {"run", s.runRoot, config.RunRoot}, {"storage-driver", driver, config.Driver}, {"image-store", s.imageStore, config.ImageStore}} {
		if s.flagged(given.flag) {
			s.config.Set(given.key, given.value, config.Source{Flag: "--" + given.flag})
		}
	}
	if s.flagged("transient-store") {
		s.config.Set(config.TransientStore, s.transient, config.Source{Flag: "--transient-store"})
	}
	if s.flagged("storage-opt") {
		s.config.SetOptions(s.driverOptions, config.Source{Flag: "--storage-opt"})
	}
	return s.check()
}

// options returns with what a store is to be opened.
func (s *settings) options(log *logrus.Logger) graph.Options {
	return graph.Options{
		Root: s.config.Text(config.GraphRoot), RunRoot: s.config.Text(config.RunRoot),
		Driver: s.config.Text(config.Driver), DriverPriority: s.config.List(config.DriverPriority),
		DriverOptions: s.config.DriverOptions(), Log: log,
		ImageStore: s.config.Text(config.ImageStore), TransientStore: s.config.Bool(config.TransientStore),
	}
}

// logger returns a logger that writes what is to be known to w.
func (s *settings) logger(w io.Writer) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(w)
	log.SetFormatter(&logrus.TextFormatter{DisableColors: true})
	log.SetLevel(logrus.ErrorLevel)
	if s.debug {
		log.SetLevel(logrus.DebugLevel)
	}
	return log
}

// open opens the store.
func (s *settings) open(ctx context.Context, log *logrus.Logger) (*graph.Store, error) {
	if err := s.complete(); err != nil {
		return nil, &openError{err}
	}
	s.warn(log)
	if s.passedOver != nil {
		log.Debugf("Configuration passed over: %v", s.passedOver)
	}
	options := s.options(log)
	log.Debugf("Root: %s", absolute(options.Root))
	log.Debugf("Run Root: %s", absolute(options.RunRoot))
	log.Debugf("Driver Name: %s", options.Driver)
	log.Debugf("Driver Options: %v", options.DriverOptions)
	if err := s.config.MakeRuntimeDir(); err != nil {
		return nil, &openError{err}
	}
	store, err := graph.Open(ctx, options)
	if err != nil {
		return nil, &openError{err}
	}
	return store, nil
}

// warn tells what whoever maintains the configuration should know.
func (s *settings) warn(log *logrus.Logger) {
	loud := s.loud(log)
	for _, warning := range s.config.Warnings() {
		loud.Warn(warning)
	}
}

// loud returns a logger for warnings that are to be seen however little is to be
// logged else.
func (s *settings) loud(log *logrus.Logger) *logrus.Logger {
	loud := s.logger(log.Out)
	loud.SetLevel(max(log.GetLevel(), logrus.WarnLevel))
	return loud
}

// absolute returns a path as it is called from everywhere.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
