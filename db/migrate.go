package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/csdb/csdb/model"
)

// migration brings a database from one schema version to the next.
type migration struct {
	from  uint64
	apply func(*Tx) error
}

// migrations is ordered by version and has no gap. Version 1 is the first one.
var migrations = []migration{
	{from: 1, apply: func(tx *Tx) error { return tx.makeBucketsSince(2) }},
}

// makeBucketsSince makes the buckets that came with a version of the schema.
func (tx *Tx) makeBucketsSince(version uint64) error {
	for _, name := range buckets {
		if since(name) != version {
			continue
		}
		if _, err := tx.root.makeBucket(string(name)); err != nil {
			return err
		}
		delete(tx.open, name)
	}
	return nil
}

// upgrade makes sure that this program understands the database, and brings it
// to the version of the schema of this program unless it has that.
func (tx *Tx) upgrade() error {
	err := tx.checkSchema()
	if errors.Is(err, errOutdated) || err == nil && tx.schema < SchemaVersion {
		err = migrate(tx, migrations, SchemaVersion)
	}
	return err
}

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
		tx.schema = version
	}
	if version != target {
		return fmt.Errorf("%w: database %s has schema version %d, and there is no way from it to version %d",
			model.ErrUnsupported, tx.path, version, target)
	}
	return nil
}
