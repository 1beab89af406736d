package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/csdb/csdb/db"
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
