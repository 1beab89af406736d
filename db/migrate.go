package db

import (
	"context"
	"fmt"

	"github.com/csdb/csdb/model"
)

// migration brings a database from one schema version to the next.
type migration struct {
	from  uint64
	apply func(*Tx) error
}

// migrations is ordered by version and has no gap. Version 1 is the first one.
var migrations = []migration{}

// migrateWith brings the database to a schema version, in one transaction.
func (db *DB) migrateWith(ctx context.Context, steps []migration, target uint64) error {
	_, err := db.update(ctx, func(tx *Tx) error {
		if err := migrate(tx, steps, target); err != nil {
			return err
		}
		return tx.loadUsage()
	})
	return err
}

// migrate brings the database to a schema version. All steps happen in the
// given transaction; nothing is written if there is nothing to do.
func migrate(tx *Tx, steps []migration, target uint64) error {
	version, err := tx.Schema()
	if err != nil {
		return err
	}
	for _, step := range steps {
		if version != step.from || version >= target {
			continue
		}
		if err := step.apply(tx); err != nil {
			return fmt.Errorf("database %s: migration of schema version %d: %w", tx.path, step.from, err)
		}
		version++
		tx.note(OpMigrate, "", fmt.Sprint(version), nil)
		if err := schemas.put(tx, keySchema, &version); err != nil {
			return err
		}
	}
	if version != target {
		return fmt.Errorf("%w: database %s has schema version %d, and there is no way from it to version %d",
			model.ErrUnsupported, tx.path, version, target)
	}
	return nil
}
