package db_test

import (
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// setSchema makes the database say that it has another schema version.
func setSchema(t testing.TB, database *db.DB, version uint64) {
	t.Helper()
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		return db.PutRecord(inBucket(tx, "store"), "store", "schema", &version)
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	database := create(t)
	setSchema(t, database, db.SchemaVersion+1)
	for _, options := range []db.Options{{}, {ReadOnly: true}} {
		_, err := db.Open(t.Context(), rootOf(database), options)
		wantClass(t, err, model.ErrUnsupported)
		wantText(t, err, id("schema version %d", db.SchemaVersion+1), "use a newer csdb")
	}
	// Somebody may have migrated the database while it was in use.
	wantClass(t, read(t.Context(), database), model.ErrUnsupported)
	wantClass(t, write(t.Context(), database), model.ErrUnsupported)
}

func TestOlderSchemaCannotBeReadOnly(t *testing.T) {
	database := create(t)
	setSchema(t, database, 0)
	_, err := db.Open(t.Context(), rootOf(database), db.Options{ReadOnly: true})
	wantClass(t, err, model.ErrUnsupported)
	wantText(t, err, id("brought to version %d when it is opened for writing", db.SchemaVersion))
}

func TestOlderSchemaWithoutAWayIsRefused(t *testing.T) {
	database := create(t)
	setSchema(t, database, 0)
	_, err := db.Open(t.Context(), rootOf(database), db.Options{})
	wantClass(t, err, model.ErrUnsupported)
	wantText(t, err, "no way")
}

func TestUnknownFeatureIsRefused(t *testing.T) {
	database := create(t)
	info := infoOf(t, database)
	info.Features = []string{"shadows"}
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		return db.PutRecord(inBucket(tx, "store"), "store", "info", info)
	})
	for _, options := range []db.Options{{}, {ReadOnly: true}} {
		_, err := db.Open(t.Context(), rootOf(database), options)
		wantClass(t, err, model.ErrUnsupported)
		wantText(t, err, "shadows", "use a newer csdb")
	}
}
