package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Result is what came of a repair.
type Result struct {
	// ID names the repair, for Undo.
	ID string `json:"id"`
	// Dir is where the copy of the database, the notes and what was taken away
	// are, relative to the graph root.
	Dir string `json:"dir"`
	// Steps is how many steps were done, and Entries how many entries of the
	// database were changed.
	Steps   int `json:"steps"`
	Entries int `json:"entries"`
}

// Apply carries out a plan. If the store is not any more as the plan has it the
// error matches ErrMovedOn, and nothing is changed. If it fails on the way, the
// result tells where the notes are: Undo takes back what was done.
//
// Programs that want to change the store wait meanwhile.
func Apply(ctx context.Context, plan *Plan) (result *Result, err error) {
	current, err := plan.confirm(ctx)
	if err != nil {
		return nil, err
	}
	if len(current.Steps) == 0 {
		return nil, errNoSteps
	}
	t, err := openTree(plan.Root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	disk, err := fsutil.OpenSyncer(plan.Root)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	// Undo needs the repair to be the last transaction.
	database, err := db.Open(ctx, plan.Root, db.Options{NoAutoCompact: true})
	if err != nil {
		return nil, err
	}
	defer database.Close()
	r := &repairer{plan: current, tree: t}
	err = database.Update(ctx, func(tx *db.Tx) error { return r.run(ctx, tx) })
	if r.notes == nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.notes.close()) }()
	if err == nil {
		err = errors.Join(disk.Sync(), r.notes.write(note{Op: noteDone}))
	}
	return &r.result, err
}

// repairer is a repair under way.
type repairer struct {
	plan   *Plan
	tree   *tree
	notes  *notes // nil before it has begun
	result Result
	// noted tells that there is a note about a change of the database.
	noted bool
	// made is how many directories of layers have been made.
	made int
}

func (r *repairer) run(ctx context.Context, tx *db.Tx) (err error) {
	if uint64(tx.TxID()) != r.plan.txID+1 {
		return fmt.Errorf("%w: it is in use; try again", ErrMovedOn)
	}
	if r.notes, err = begin(r.plan.Root, r.plan, time.Now()); err != nil {
		return err
	}
	r.result = Result{ID: path.Base(r.notes.dir), Dir: r.notes.dir}
	if err := r.copyDatabase(); err != nil {
		return err
	}
	for i := range r.plan.Steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := r.do(ctx, tx, &r.plan.Steps[i]); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, &r.plan.Steps[i], err)
		}
		r.result.Steps++
	}
	return nil
}

// copyDatabase copies the database, byte by byte. Nobody writes to it meanwhile.
func (r *repairer) copyDatabase() (err error) {
	from, err := os.Open(filepath.Join(r.plan.Root, db.FileName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	dir := filepath.Join(r.plan.Root, r.notes.dir)
	to, err := os.OpenFile(filepath.Join(dir, backupName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Sync(), to.Close(), fsutil.SyncDir(dir))
}

func (r *repairer) do(ctx context.Context, tx *db.Tx, step *Step) error {
	switch {
	case step.Mend:
		if err := r.noteDatabase(tx); err != nil {
			return err
		}
		n, err := tx.Mend(ctx)
		r.result.Entries += n
		return err
	case step.Heal != nil:
		return r.heal(ctx, tx, step.Heal)
	case step.Quarantine != nil:
		return r.mark(tx, step.Quarantine)
	case step.Forget != nil:
		return r.forget(ctx, step.Forget)
	case step.Hold != nil:
		return r.hold(tx, step.Hold)
	}
	if step.lock != "" {
		release, free, err := graph.AtWorkIn(r.plan.Root).Take(step.lock)
		if err != nil {
			return err
		}
		if !free {
			return fmt.Errorf("%w: a program has begun to work on it", model.ErrBusy)
		}
		defer release()
	}
	if step.Reap != nil {
		return r.reap(tx, step.Reap)
	}
	return r.fix(step.Fix)
}

// noteDatabase notes that the database is going to be changed.
func (r *repairer) noteDatabase(tx *db.Tx) error {
	if r.noted {
		return nil
	}
	r.noted = true
	return r.notes.write(note{Op: noteMend, TxID: tx.TxID()})
}

// fix changes one file.
func (r *repairer) fix(fix *drivers.Fix) error {
	if fix.Op == drivers.FixAway {
		return r.takeAway(fix.Path)
	}
	if err := r.makeParent(fix.Path); err != nil {
		return err
	}
	return r.tree.in(fix.Path, func(dir *beneath.Dir, base string) error { return r.change(dir, base, fix) })
}

// change changes one file in the directory that it is in.
func (r *repairer) change(dir *beneath.Dir, base string, fix *drivers.Fix) error {
	before, err := stateOf(dir, base, fix.Op == drivers.FixWrite)
	if err != nil {
		return err
	}
	after := before
	switch fix.Op {
	case drivers.FixMkdir:
		after = r.owned(dir, state{Kind: directory, Mode: fix.Mode})
	case drivers.FixWrite:
		after = r.owned(dir, state{Kind: file, Mode: fix.Mode, Content: []byte(fix.Text)})
	case drivers.FixSymlink:
		after = r.owned(dir, state{Kind: symlink, Target: fix.Text})
	case drivers.FixChmod:
		after.Mode = fix.Mode
	case drivers.FixChown:
		after.UID = fix.Owner
	case drivers.FixAway:
	}
	if inTheWay(&before, &after) {
		if err := r.takeAway(fix.Path); err != nil {
			return err
		}
		before = state{Kind: nothing}
	}
	temp := fsutil.TempName()
	if err := r.notes.write(note{Op: noteChange, Path: fix.Path, Before: &before, After: &after, Temp: temp}); err != nil {
		return err
	}
	return after.establish(dir, base, temp)
}

// owned gives a new file the owner of its directory.
func (r *repairer) owned(dir *beneath.Dir, s state) state {
	if stat, err := dir.Stat("."); err == nil {
		s.UID, s.GID = stat.Uid, stat.Gid
	}
	return s
}

// inTheWay tells whether something has to be taken away first.
func inTheWay(before, after *state) bool {
	return before.Kind != nothing && before.Kind != after.Kind
}

// makeParent makes the directory that a file is to be in, if it is missing.
func (r *repairer) makeParent(name string) error {
	parent := path.Dir(name)
	if parent == "." {
		return nil
	}
	if err := r.makeParent(parent); err != nil {
		return err
	}
	return r.tree.in(parent, func(dir *beneath.Dir, base string) error {
		before, err := stateOf(dir, base, false)
		if err != nil || before.Kind != nothing {
			return err
		}
		return r.change(dir, base, &drivers.Fix{Op: drivers.FixMkdir, Path: parent, Mode: 0o700})
	})
}

// takeAway moves something to lost+found, where it has the path that it had.
func (r *repairer) takeAway(name string) error {
	to := path.Join(r.notes.dir, movedDir, name)
	if err := r.notes.write(note{Op: noteMove, Path: name, To: to}); err != nil {
		return err
	}
	return r.tree.move(name, to)
}
