package repair

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// madeDir is where layers are made in the directory of a repair, before they are
// put into their places. What is taken back again is there, too.
const madeDir = "made"

// healWhole brings back a layer of which nothing is left: its content, and what
// the driver keeps beside that.
func (r *repairer) healWhole(ctx context.Context, src source, h *Heal) error {
	r.made++
	made := path.Join(r.notes.dir, madeDir, strconv.Itoa(r.made))
	if err := r.tree.root.MkdirAll(made, 0o700); err != nil {
		return err
	}
	err := r.onHome(ctx, h.lost.Whole, func(home drivers.Inspector) error {
		restorer, ok := home.(drivers.Restorer)
		if !ok {
			return fmt.Errorf("bringing back a layer with driver %s: %w", h.lost.Whole.Driver.Name, model.ErrUnsupported)
		}
		return withEntries(ctx, src, h.lost, func(entries *tar.Reader) error {
			return restorer.Restore(ctx, h.lost.Whole.Layer, filepath.Join(r.plan.Root, made), entries)
		})
	})
	if err != nil {
		return err
	}
	if err := errors.Join(r.clear(h.Path), r.makeParent(h.Path)); err != nil {
		return err
	}
	if err := r.notes.write(note{Op: noteMove, Path: made, To: h.Path}); err != nil {
		return err
	}
	if err := r.tree.move(made, h.Path); err != nil {
		return err
	}
	return r.fixAround(ctx, h.lost.Whole)
}

// fixAround puts right what the driver keeps beside the content of a layer.
func (r *repairer) fixAround(ctx context.Context, lost *fsck.LostLayer) error {
	return r.onHome(ctx, lost, func(home drivers.Inspector) error {
		faults, err := home.Layer(ctx, lost.Layer)
		if err != nil {
			return err
		}
		for _, fault := range faults {
			if fault.Fix == nil {
				return fmt.Errorf("%s: %w: expected %s, found %s", fault.Path, model.ErrCorrupt, fault.Expected, fault.Found)
			}
			fix := *fault.Fix
			fix.Path = path.Join(lost.Driver.Name, fix.Path)
			if err := r.fix(&fix); err != nil {
				return err
			}
		}
		return nil
	})
}

// onHome looks at the home of the driver as it is now.
func (r *repairer) onHome(ctx context.Context, lost *fsck.LostLayer, fn func(drivers.Inspector) error) (err error) {
	home, err := lost.Driver.Inspect(ctx, filepath.Join(r.plan.Root, lost.Driver.Name), lost.Homes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	return fn(home)
}
