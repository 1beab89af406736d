package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Reap comes to the end of a removal.
type Reap struct {
	// Path is that of the trash entry, and Places are where the content may be.
	Path   string   `json:"path"`
	Places []string `json:"places"`
}

// String says what is done.
func (r *Reap) String() string {
	return fmt.Sprintf("end the removal of %s: what is left of it goes to lost+found", r.Places[0])
}

// reap moves content that is to be removed to lost+found, and drops the entry.
func (r *repairer) reap(tx *db.Tx, reap *Reap) error {
	for _, place := range reap.Places {
		there, err := r.isThere(place)
		if err == nil && there {
			err = r.takeAway(place)
		}
		if err != nil {
			return err
		}
	}
	if err := r.noteDatabase(tx); err != nil {
		return err
	}
	r.result.Entries++
	return tx.RemoveTrash(reap.Path)
}

// isThere tells whether there is anything at a path.
func (r *repairer) isThere(name string) (there bool, err error) {
	err = r.tree.in(name, func(dir *beneath.Dir, base string) error {
		s, err := stateOf(dir, base, false)
		there = s.Kind != nothing
		return err
	})
	if errors.Is(err, fs.ErrNotExist) { // not even its directory
		err = nil
	}
	return there, err
}

// Forget forgets a mount that is not there.
type Forget struct {
	Layer model.LayerID `json:"layer"`
	Path  string        `json:"path"`

	mount db.Mount
}

// String says what is done.
func (f *Forget) String() string {
	return fmt.Sprintf("forget that layer %s is mounted at %s", f.Layer, f.Path)
}

// forget forgets a mount.
func (r *repairer) forget(ctx context.Context, f *Forget) error {
	if err := r.notes.write(note{Op: noteForget, Path: r.plan.RunRoot, Mount: &f.mount}); err != nil {
		return err
	}
	return onRun(ctx, r.plan.RunRoot, r.plan.UUID, func(tx *db.RunTx) error { return tx.RemoveMount(f.Layer) })
}

// remember takes back a forget, unless the layer has been mounted again.
func (u *undo) remember(ctx context.Context, n *note) error {
	if n.Mount == nil {
		return fmt.Errorf("%w: a note without a mount", model.ErrCorrupt)
	}
	return onRun(ctx, n.Path, u.uuid, func(tx *db.RunTx) error {
		now, err := tx.Mount(n.Mount.Layer)
		if err != nil || now != nil {
			return err
		}
		return tx.SetMount(*n.Mount)
	})
}

// onRun changes the run database of a store.
func onRun(ctx context.Context, runRoot, uuid string, fn func(*db.RunTx) error) error {
	run, err := db.OpenRun(ctx, runRoot, uuid)
	if err != nil {
		return err
	}
	defer run.Close()
	return run.Update(ctx, fn)
}
