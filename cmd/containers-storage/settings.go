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

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// Where a store is that no flag says where to find.
const (
	defaultRoot    = "/var/lib/containers/storage"
	defaultRunRoot = "/run/containers/storage"
)

// settings are what the flags that every command has say about the store. What
// no flag says has its default, flag by flag.
type settings struct {
	root, runRoot, imageStore string
	driver                    string
	driverOptions             []string
	transient, debug, unshare bool
}

// flags returns the flags that every command has.
func (s *settings) flags(getenv func(string) string) []urfave.Flag {
	return []urfave.Flag{
		&urfave.BoolFlag{Name: "debug", Aliases: []string{"D"}, Usage: "print debugging information", Destination: &s.debug},
		&urfave.StringFlag{Name: "graph", Aliases: []string{"g"}, Usage: "root directory of what is to last", Value: defaultRoot, Destination: &s.root},
		&urfave.StringFlag{Name: "image-store", Usage: "root directory of a separate store for images", Destination: &s.imageStore},
		&urfave.StringFlag{Name: "run", Aliases: []string{"R"}, Usage: "root directory of what need not survive a reboot", Value: defaultRunRoot, Destination: &s.runRoot},
		&urfave.StringFlag{Name: "storage-driver", Aliases: []string{"s"}, Usage: "storage driver to use ($STORAGE_DRIVER)", Value: getenv("STORAGE_DRIVER"), Destination: &s.driver},
		&cli.ListFlag{Name: "storage-opt", Usage: "option of the storage driver, may be repeated ($STORAGE_OPTS)", Value: listOf(getenv("STORAGE_OPTS")), Destination: &s.driverOptions},
		&urfave.BoolFlag{Name: "transient-store", Usage: "forget new containers at the next reboot", Destination: &s.transient},
		&urfave.BoolFlag{Name: "unshare", Aliases: []string{"U"}, Usage: "run in a user namespace of its own", Destination: &s.unshare},
	}
}

// listOf returns the words of a list that commas separate.
func listOf(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(word string) bool { return word == "" })
}

// check reports everything that cannot be as the flags want it.
func (s *settings) check() error {
	var faults []error
	for flag, value := range map[string]string{"--graph": s.root, "--run": s.runRoot} {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s: the path is empty: %w", flag, model.ErrInvalid))
		}
	}
	for flag, wanted := range map[string]bool{
		"--image-store": s.imageStore != "", "--transient-store": s.transient, "--unshare": s.unshare,
	} {
		if wanted {
			faults = append(faults, fmt.Errorf("%s: %w", flag, model.ErrUnsupported))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
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
	if err := s.check(); err != nil {
		return nil, &openError{err}
	}
	options := graph.Options{
		Root: s.root, RunRoot: s.runRoot, Driver: s.driver, DriverOptions: s.driverOptions, Log: log,
	}
	log.Debugf("Root: %s", absolute(options.Root))
	log.Debugf("Run Root: %s", absolute(options.RunRoot))
	log.Debugf("Driver Name: %s", options.Driver)
	log.Debugf("Driver Options: %v", options.DriverOptions)
	store, err := graph.Open(ctx, options)
	if err != nil {
		return nil, &openError{err}
	}
	return store, nil
}

// absolute returns a path as it is called from everywhere.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
