package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// session is what a command works with.
type session struct {
	cli.Env
	settings settings
	json     bool
	// flagged tells whether a flag of the command has been given.
	flagged func(name string) bool
}

// waiting returns the context for waiting for locks.
func (s *session) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.settings.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	cause := fmt.Errorf("%w: waited for %v", model.ErrBusy, s.settings.timeout)
	return context.WithTimeoutCause(ctx, s.settings.timeout, cause)
}

// with runs use with the store, which is opened for reading.
func (s *session) with(ctx context.Context, use func(*graph.Store) error) (err error) {
	wait, cancel := s.waiting(ctx)
	defer cancel()
	store, err := graph.Open(wait, graph.Options{Root: s.settings.root, RunRoot: s.settings.runRoot, ReadOnly: true, Now: s.Now})
	switch {
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, model.ErrCorrupt):
		return fmt.Errorf("%w in %s: %w", errNoStore, s.settings.root, err)
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if wanted := s.settings.driver; wanted != "" && wanted != store.DriverName() {
		return wrongDriver(store.DriverName(), wanted)
	}
	return use(store)
}

// view runs fn with a consistent picture of the store.
func (s *session) view(ctx context.Context, fn func(*graph.ReadTx) error) (err error) {
	return s.with(ctx, func(store *graph.Store) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		return store.View(wait, fn)
	})
}

// writeJSON writes a value as one line.
func (s *session) writeJSON(value any) error { return cli.WriteJSON(s.Stdout, value) }

// writePretty writes a value as JSON for people.
func (s *session) writePretty(value any) error {
	encoder := json.NewEncoder(s.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// table returns a writer that aligns columns, which are separated by tabs. It
// is to be flushed.
func (s *session) table() *tabwriter.Writer { return tabwriter.NewWriter(s.Stdout, 0, 8, 2, ' ', 0) }

// ago says how long ago something was.
func (s *session) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return since(s.Now(), t)
}
