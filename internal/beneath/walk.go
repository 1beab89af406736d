package beneath

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// Entry is an entry of a tree that is being walked. It is valid only during
// the visit.
type Entry struct {
	Dir  *Dir   // the directory that it is in
	Name string // its name in Dir
	Stat unix.Stat_t

	above []string // names of the directories from the root of the walk to Dir
}

// Path returns the name of the entry beneath the root of the walk.
func (e *Entry) Path() string {
	if len(e.above) == 0 {
		return e.Name
	}
	return strings.Join(e.above, "/") + "/" + e.Name
}

// IsDir tells whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.Stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// Walk calls visit for every entry of the tree below d, but not for d itself:
// parents before children, and the entries of one directory sorted by name.
// Entries that vanish meanwhile are left out. If visit returns fs.SkipDir for
// a directory, what is below it is left out; another error ends the walk.
func (d *Dir) Walk(ctx context.Context, visit func(*Entry) error) (err error) {
	cursor, err := d.Cursor()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	w := walk{cursor: cursor, visit: visit}
	names, err := cursor.Dir().Names()
	w.pending = append(w.pending, names)
	for err == nil && len(w.pending) > 0 {
		if err = ctx.Err(); err == nil {
			err = w.step()
		}
	}
	return err
}

// walk is a walk under way. It keeps its own stack, because that of a
// goroutine cannot grow as deep as a tree.
type walk struct {
	cursor  *Cursor
	visit   func(*Entry) error
	names   []string   // of the directories from the root to that of the cursor
	pending [][]string // for each directory on the way: what is still to visit
}

// step visits one entry or leaves one directory.
func (w *walk) step() error {
	top := len(w.pending) - 1
	if len(w.pending[top]) == 0 {
		w.pending = w.pending[:top]
		if top == 0 {
			return nil
		}
		w.names = w.names[:top-1]
		return w.cursor.Leave()
	}
	name := w.pending[top][0]
	w.pending[top] = w.pending[top][1:]

	entry := Entry{Dir: w.cursor.Dir(), Name: name, above: w.names}
	var err error
	if entry.Stat, err = entry.Dir.Stat(name); err != nil {
		return unlessVanished(err)
	}
	err = w.visit(&entry)
	if err != nil || !entry.IsDir() {
		if entry.IsDir() && errors.Is(err, fs.SkipDir) {
			return nil
		}
		return err
	}
	return w.enter(name)
}

func (w *walk) enter(name string) error {
	if err := w.cursor.Enter(name); err != nil {
		return unlessVanished(err)
	}
	w.names = append(w.names, name)
	names, err := w.cursor.Dir().Names()
	w.pending = append(w.pending, names)
	return err
}

// unlessVanished drops the errors for an entry, or a directory, that was there
// a moment ago and now is not.
func unlessVanished(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}
