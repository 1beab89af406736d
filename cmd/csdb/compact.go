package main

import (
	"context"
	"fmt"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
)

type compact struct{ ifFree int }

func (p *program) compactCommand() *urfave.Command {
	o := &compact{}
	return p.command(urfave.Command{
		Name: "compact", Usage: "make the database file as small as it can be",
		Description: `
Writes the database anew, without the pages that hold nothing any more, and
puts the new file in the place of the old one. What a deletion frees is used
again, and programs do the same on their own after a change that leaves three
quarters of a file of 32 MiB or more free, if nobody else uses the store just
then and it does not take long. Programs that use the store need not be stopped.
They wait meanwhile, one or two seconds for each 100 MB, and then go on with the
new file; whenever the power goes, one of both is there, whole. On the disk
there must be room for both.

A small reserve stays free, with which things can be deleted when the disk is
full. Contents are not touched; see "csdb gc" for those.

Examples:

  csdb compact
  csdb compact --if-free 50   # nothing is done unless half of it is free`,
		Flags: []urfave.Flag{
			&urfave.IntFlag{Name: "if-free", Usage: "do nothing unless this `PERCENT` of the pages is free", DefaultText: "0", Destination: &o.ifFree},
		},
	}, arity{0, 0}, o)
}

// compaction tells what compact has done.
type compaction struct {
	Done   bool     `json:"done"`
	Before fileInfo `json:"before"`
	After  fileInfo `json:"after"`
}

func (o *compact) run(ctx context.Context, s *session, _ []string) error {
	if o.ifFree < 0 || o.ifFree > 100 {
		return &usageError{command: "compact", err: fmt.Errorf("--if-free %d is not a percentage", o.ifFree)}
	}
	return s.database(ctx, func(database *db.DB) error {
		steps := &steps{Env: s.Env}
		done, err := database.Compact(ctx, db.CompactOptions{IfFree: o.ifFree, Wait: max(s.settings.timeout, 0), Progress: steps.start})
		steps.end()
		if err != nil {
			return err
		}
		v := compaction{Done: done.Done}
		for _, side := range []struct {
			of   db.FileInfo
			into *fileInfo
		}{{done.Before, &v.Before}, {done.After, &v.After}} {
			*side.into = fileInfo{
				Path: filepath.Join(s.settings.root, db.FileName), Size: side.of.Size, PageSize: side.of.PageSize,
				Pages: side.of.Pages, Free: side.of.Free, TxID: side.of.TxID,
			}
		}
		if s.json {
			return s.writeJSON(v)
		}
		s.writeCompaction(&v)
		return nil
	})
}

func (s *session) writeCompaction(v *compaction) {
	fmt.Fprintf(s.Stdout, "%s: %s, %d pages of %d bytes, %d of them free\n", v.Before.Path,
		humanSize(v.Before.Size), v.Before.Pages, v.Before.PageSize, v.Before.Free)
	if !v.Done {
		fmt.Fprintln(s.Stdout, "nothing is done: too few are free")
		return
	}
	fmt.Fprintf(s.Stdout, "now %s, %d pages of %d bytes, %d of them free\n",
		humanSize(v.After.Size), v.After.Pages, v.After.PageSize, v.After.Free)
}
