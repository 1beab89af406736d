package beneath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// maxPasses bounds how often a directory is emptied that somebody else fills
// meanwhile.
const maxPasses = 16

// RemoveAll removes the file or directory called name beneath d, with all that
// is below it. Symbolic links on the way to it are followed within d; it and
// everything below it are removed themselves, never what links point to. What
// does not exist is no error. A directory on which something is mounted is not
// entered: the error matches model.ErrBusy.
func (d *Dir) RemoveAll(ctx context.Context, name string) (err error) {
	parent, entry := path.Split(path.Clean(name))
	if err := checkEntry("remove", entry); err != nil {
		return err
	}
	dir, err := d.Dir(parent)
	if err != nil {
		return unlessVanished(err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return dir.RemoveTree(ctx, entry)
}

// RemoveAll is Dir.RemoveAll for a directory that is open as an *os.File.
func RemoveAll(ctx context.Context, dir *os.File, name string) error {
	defer runtime.KeepAlive(dir)
	return borrow(dir).RemoveAll(ctx, name)
}

// RemoveTree removes the entry called name of d and all that is below it, like
// RemoveAll.
func (d *Dir) RemoveTree(ctx context.Context, name string) (err error) {
	if full, err := d.removeEntry(name); err != nil || !full {
		return err
	}
	cursor, err := d.Cursor()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	r := removal{cursor: cursor, levels: []level{{todo: []string{name}}}}
	for err == nil && len(r.levels) > 0 {
		if err = ctx.Err(); err == nil {
			err = r.step()
		}
	}
	return err
}

// removal is a removal under way. Like walk, it keeps its own stack.
type removal struct {
	cursor *Cursor
	levels []level
}

// level is a directory on the way down to the one that is being emptied.
type level struct {
	todo   []string // what is still to remove
	passes int      // how often the last one of todo has been emptied
}

// step removes one entry, or moves one level down or up.
func (r *removal) step() error {
	top := len(r.levels) - 1
	here := &r.levels[top]
	if len(here.todo) == 0 {
		r.levels = r.levels[:top]
		if top == 0 {
			return nil
		}
		// The parent's next step removes the directory itself, or finds that
		// it has been filled again.
		return r.cursor.Leave()
	}
	last := len(here.todo) - 1
	full, err := r.cursor.Dir().removeEntry(here.todo[last])
	if err != nil {
		return err
	}
	if !full {
		here.todo, here.passes = here.todo[:last], 0
		return nil
	}
	return r.down(here, here.todo[last])
}

// down begins to empty a directory. If it is gone, or is none any more, the
// next step notices.
func (r *removal) down(here *level, name string) error {
	if here.passes++; here.passes > maxPasses {
		return pathError("unlinkat", name, unix.ENOTEMPTY)
	}
	if err := r.cursor.Enter(name); err != nil {
		return unlessVanished(err)
	}
	names, err := r.cursor.Dir().Names()
	r.levels = append(r.levels, level{todo: names})
	return err
}

// removeEntry removes an entry, unless it is a directory that has entries of
// its own.
func (d *Dir) removeEntry(name string) (full bool, err error) {
	err = d.Remove(name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENOTDIR):
		// ENOTDIR: somebody put a file in the directory's place between the
		// two calls. The next pass removes the file.
		return true, nil
	case errors.Is(err, unix.EBUSY):
		return false, fmt.Errorf("%w: something is mounted there: %w", model.ErrBusy, err)
	}
	return false, err
}
