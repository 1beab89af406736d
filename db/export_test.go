package db

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Path returns the path of the run database.
func (run *Run) Path() string { return run.file.path }

// OpenRunAtBoot is OpenRun at a boot of the machine with the given ID.
func OpenRunAtBoot(ctx context.Context, runRoot, uuid, boot string) (*Run, error) {
	return openRun(ctx, runRoot, uuid, boot)
}

// OpenVolatileAtBoot is OpenVolatile at a boot of the machine with the given ID.
func OpenVolatileAtBoot(ctx context.Context, dir, of, boot string, options Options) (*DB, error) {
	return openVolatile(ctx, dir, of, "vfs", boot, options)
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

// HoldGate keeps transactions over several databases from taking effect, as one does
// that begins to read; exclusively, it keeps all that read from beginning.
func (db *DB) HoldGate(exclusive bool) (release func()) {
	if exclusive {
		db.file.gate.Lock()
		return db.file.gate.Unlock
	}
	db.file.gate.RLock()
	return db.file.gate.RUnlock
}

// errInterrupted ends a transaction that is to look as if its process had died.
var errInterrupted = errors.New("interrupted")

// Interrupt begins to change databases together, and leaves it as a process does
// that dies when the first of them, which coordinates, has not committed yet, or
// has.
func Interrupt(ctx context.Context, all []*DB, committed bool, fns ...func(*Tx) error) error {
	g, err := newGroup(all, nil)
	if err != nil {
		return err
	}
	err = g.run(ctx, func(write []*Tx, _ []*ReadTx) error {
		for i, fn := range fns {
			if err := fn(write[i]); err != nil {
				return err
			}
		}
		a := newAgreement(g.write)
		if err := a.decide(); err != nil {
			return err
		}
		for i, m := range a.others {
			if err := m.prepare(a.prepared[i], a.room[i]); err != nil {
				return err
			}
		}
		if committed {
			if err := a.coordinator.commitFinished(); err != nil {
				return err
			}
		}
		return errInterrupted
	})
	if errors.Is(err, errInterrupted) {
		return nil
	}
	return err
}
