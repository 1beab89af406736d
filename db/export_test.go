package db

import (
	"context"
	"time"

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

// AutoCompactWaits sets how long others may keep the database from compacting
// itself; 0 is as long as usual.
func (db *DB) AutoCompactWaits(wait time.Duration) { db.auto.wait = wait }

// PutRecord stores a record behind the back of all transactions.
func PutRecord(b *bolt.Bucket, in, key string, record any) error {
	content, err := encoding.Marshal(record)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), seal(bucket(in), []byte(key), content))
}
