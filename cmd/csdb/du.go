package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type du struct{ verify bool }

func (p *program) duCommand() *urfave.Command {
	o := &du{}
	return p.command(urfave.Command{
		Name: "du", Usage: "show what takes how much space",
		Description: `
Shows for every image and container how much belongs to it alone, the largest
first. OWN are its data items, and for a container the content of its own
layer, "?" if somebody has written to it; UNIQUE are the layers that nothing
else needs, and SHARED those that others need too. Deleting an object gives
back OWN and UNIQUE. The numbers are kept in the database, so this takes no
time.

With --verify, data items, tar-splits and the contents of layers are measured on
disk too, while nobody has to wait, and everything is listed whose size is not the
recorded one; the exit status is 3 then. Of layers to which somebody has written
no size is recorded, and with driver vfs, which gives each layer a copy of what it
lies on, only layers on nothing can be compared. A difference is mostly damage,
which fsck tells more of; but a layer whose archive had a file twice, or a hard
link to a file below it, differs from the beginning.

Examples:

  csdb du
  csdb du --verify
  csdb du --json | jq .reclaimable`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "verify", Usage: "measure on disk, and compare", DisableDefaultText: true, Destination: &o.verify},
		},
	}, arity{0, 0}, o)
}

// used is how much space an object takes.
type used struct {
	object
	graph.Size
}

// diskUsage is how much space everything takes, in bytes.
type diskUsage struct {
	Objects []used `json:"objects"`
	// Layers, Data and TarSplits add up to Total.
	Layers    int64 `json:"layers"`
	Data      int64 `json:"data"`
	TarSplits int64 `json:"tar-splits"`
	Total     int64 `json:"total"`
	// Reclaimable is the size of the layers that no image and no container
	// needs.
	Reclaimable int64 `json:"reclaimable"`
	// Verified is there if it was asked for.
	Verified *measurement `json:"verified,omitempty"`
}

func (o *du) run(ctx context.Context, s *session, _ []string) error {
	usage := &diskUsage{Objects: []used{}}
	var damaged damages
	err := s.with(ctx, func(store *graph.Store) (err error) {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		if err = store.View(wait, func(tx *graph.ReadTx) error { return usage.load(tx, &damaged) }); err == nil && o.verify {
			usage.Verified, err = s.measure(ctx, store, &damaged)
		}
		return err
	})
	if err != nil {
		return err
	}
	usage.sort()
	if s.json {
		err = s.writeJSON(usage)
	} else {
		err = s.writeUsage(usage)
	}
	if err != nil {
		return err
	}
	if err := damaged.err(); err != nil {
		return err
	}
	if v := usage.Verified; v != nil && len(v.Differences) > 0 {
		return statusError(exitRepairable)
	}
	return nil
}

// sort puts the largest first.
func (v *diskUsage) sort() {
	slices.SortStableFunc(v.Objects, func(a, b used) int {
		return cmp.Or(cmp.Compare(b.alone(), a.alone()), cmp.Compare(a.ID, b.ID))
	})
}

// alone is what belongs to the object alone.
func (u *used) alone() int64 { return max(u.Own, 0) + max(u.Unique, 0) }

func (v *diskUsage) load(tx *graph.ReadTx, damaged *damages) error {
	for _, kind := range []model.Kind{model.KindImage, model.KindContainer} {
		objects, err := loadObjects(tx, kind, damaged)
		if err != nil {
			return err
		}
		for _, object := range objects {
			size, known, err := sizeOf(tx, model.NewID(kind, object.ID), damaged)
			if err != nil {
				return err
			}
			if !known {
				size = graph.Size{Own: model.SizeUnknown, Shared: model.SizeUnknown, Unique: model.SizeUnknown}
			}
			v.Objects = append(v.Objects, used{object: object, Size: size})
		}
	}
	sums, err := tx.Usage()
	if err := damaged.note(err); err != nil {
		return err
	}
	v.sum(sums)
	return nil
}

// sum sets the sums over the whole store, which are nil if they are damaged.
func (v *diskUsage) sum(sums *db.Usage) {
	if sums == nil {
		v.Layers, v.Data, v.TarSplits, v.Total, v.Reclaimable = model.SizeUnknown, model.SizeUnknown, model.SizeUnknown, model.SizeUnknown, model.SizeUnknown
		return
	}
	v.Layers, v.Data, v.TarSplits = sums.LayerBytes, sums.DataBytes, sums.TarSplitBytes
	v.Total = v.Layers + v.Data + v.TarSplits
	v.Reclaimable = sums.UnusedLayerBytes
}

func (s *session) writeUsage(v *diskUsage) error {
	w := s.table()
	fmt.Fprintln(w, "KIND\tID\tNAMES\tOWN\tUNIQUE\tSHARED")
	for _, u := range v.Objects {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", u.Kind, shortID(u.ID), names(u.Names), humanSize(u.Own), humanSize(u.Unique), humanSize(u.Shared))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(s.Stdout, "\ntotal %s: layers %s, data items %s, tar-splits %s\nlayers that nothing needs: %s\n",
		humanSize(v.Total), humanSize(v.Layers), humanSize(v.Data), humanSize(v.TarSplits), humanSize(v.Reclaimable))
	if v.Verified != nil {
		return s.writeMeasurement(v.Verified)
	}
	return nil
}
