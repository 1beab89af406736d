package db

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// Path returns the path of the run database.
func (run *Run) Path() string { return run.file.path }

// OpenRunAtBoot is OpenRun at a boot of the machine with the given ID.
func OpenRunAtBoot(ctx context.Context, runRoot, uuid, boot string) (*Run, error) {
	return openRun(ctx, runRoot, uuid, boot)
}

// AutoCompactFrom makes the database small enough for tests to compact itself:
// when the file has so many bytes at least.
func (db *DB) AutoCompactFrom(size int64) { db.auto.atLeast = size }

// PutRecord stores a record behind the back of all transactions.
func PutRecord(b *bolt.Bucket, in, key string, record any) error {
	content, err := encoding.Marshal(record)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), seal(bucket(in), []byte(key), content))
}
