package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// database runs use with the database of the store, which is opened for
// writing. No driver is needed for that.
func (s *session) database(ctx context.Context, use func(*db.DB) error) error {
	wait, cancel := s.waiting(ctx)
	defer cancel()
	database, err := db.Open(wait, s.settings.root, db.Options{})
	switch {
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, model.ErrCorrupt):
		return fmt.Errorf("%w in %s: %w", errNoStore, s.settings.root, err)
	case err != nil:
		return err
	}
	defer database.Close()
	if wanted := s.settings.driver; wanted != "" {
		var info *db.Info
		err := database.View(wait, func(tx *db.ReadTx) (err error) {
			info, err = tx.Info()
			return err
		})
		if err != nil {
			return err
		}
		if info.Driver != wanted {
			return wrongDriver(info.Driver, wanted)
		}
	}
	return use(database)
}

func wrongDriver(has, wanted string) error {
	return fmt.Errorf("%w: the store was made with driver %s and not with driver %s", model.ErrInvalid, has, wanted)
}

// store runs use with the store, which is opened for changing it with its
// driver. None is made if there is none.
func (s *session) store(ctx context.Context, use func(*graph.Store) error) (err error) {
	if err := s.with(ctx, func(*graph.Store) error { return nil }); err != nil {
		return err
	}
	wait, cancel := s.waiting(ctx)
	defer cancel()
	store, err := graph.Open(wait, graph.Options{Root: s.settings.root, RunRoot: s.settings.runRoot, Driver: s.settings.driver, Now: s.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return use(store)
}
