package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
)

type backup struct{}

func (p *program) backupCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "backup", Usage: "copy the database to a file", ArgsUsage: "FILE",
		Description: `
Makes a copy of the database as it is at this moment, while others go on using
the store. The file gets its name when it is complete, on disk and checked; a
file that exists is never overwritten.

The copy has all records and no contents: it brings back a store whose
database is lost or damaged, as long as the contents of its layers are there.
"csdb restore" puts it in place.

Examples:

  csdb backup /backup/csdb-$(date +%F).db
  csdb fsck /backup/csdb-2026-01-31.db`,
	}, arity{1, 1}, &backup{})
}

// backupInfo describes a backup.
type backupInfo struct {
	File string `json:"file"`
	Size int64  `json:"size"` // bytes
	TxID int    `json:"tx"`   // last transaction in it
	UUID string `json:"uuid"`
}

func (o *backup) run(ctx context.Context, s *session, args []string) error {
	path, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	value := backupInfo{File: path}
	err = s.with(ctx, func(store *graph.Store) error {
		value.UUID = store.Info().UUID
		steps := &steps{Env: s.Env}
		defer steps.end()
		return store.BackupWith(ctx, path, db.BackupOptions{Progress: steps.start})
	})
	if err != nil {
		return err
	}
	// What is in the file is asked of the file.
	_, err = db.Examine(ctx, time.Minute, path, func(tx *db.ReadTx) error {
		value.TxID = tx.TxID()
		return nil
	})
	if err != nil {
		return err
	}
	stat, err := os.Stat(path)
	if err != nil {
		return err
	}
	value.Size = stat.Size()
	if s.json {
		return s.writeJSON(value)
	}
	fmt.Fprintf(s.Stdout, "%s: %s, up to transaction %d of store %s\n", value.File, humanSize(value.Size), value.TxID, value.UUID)
	return nil
}
