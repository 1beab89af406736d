package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// Repair is one that has been begun.
type Repair struct {
	ID   string    `json:"id"`
	Dir  string    `json:"dir"` // relative to the graph root
	Time time.Time `json:"time"`
	// Done tells that it came to its end, and Undone that it was taken back.
	Done   bool `json:"done"`
	Undone bool `json:"undone"`
}

// List returns the repairs of a store that have begun, the latest first.
func List(root string) ([]Repair, error) {
	entries, err := os.ReadDir(filepath.Join(root, lostFound))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Repair
	for _, entry := range slices.Backward(entries) {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), "csdb-repair-") {
			continue
		}
		dir := path.Join(lostFound, entry.Name())
		h, lines, errRead := readNotes(filepath.Join(root, dir))
		if errors.Is(errRead, errNotBegun) {
			continue
		}
		if errRead != nil {
			err = errors.Join(err, errRead)
			continue
		}
		r := Repair{ID: entry.Name(), Dir: dir, Time: h.Time}
		r.Done = slices.ContainsFunc(lines, func(n note) bool { return n.Op == noteDone })
		_, errUndone := os.Lstat(filepath.Join(root, dir, undoneName))
		r.Undone = errUndone == nil
		all = append(all, r)
	}
	return all, err
}

// Undo takes back a repair, whole or not: the one with the given ID, or the
// latest that was not taken back if that is "". Everything that the repair has
// changed must be as it left it, and the database too: otherwise the error
// matches ErrMovedOn, and nothing is changed.
func Undo(ctx context.Context, root, id string) (_ *Repair, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	r, err := find(root, id)
	if err != nil {
		return nil, err
	}
	h, lines, err := readNotes(filepath.Join(root, r.Dir))
	if err != nil {
		return nil, err
	}
	t, err := openTree(root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	disk, err := fsutil.OpenSyncer(root)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	u := &undo{root: root, dir: r.Dir, tree: t, uuid: h.UUID}
	if err := u.run(ctx, lines); err != nil {
		return nil, fmt.Errorf("undoing %s: %w", r.ID, err)
	}
	r.Undone = true
	return r, errors.Join(disk.Sync(), fsutil.WriteFile(filepath.Join(root, r.Dir, undoneName), nil, 0o600))
}

// find returns the repair that an ID means.
func find(root, id string) (*Repair, error) {
	all, err := List(root)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if r := &all[i]; id == r.ID || id == "" && !r.Undone {
			if r.Undone {
				return nil, fmt.Errorf("%w: %s was taken back already", model.ErrInvalid, r.ID)
			}
			return r, nil
		}
	}
	if id == "" {
		return nil, fmt.Errorf("%w: there is no repair that could be taken back", model.ErrNotFound)
	}
	return nil, fmt.Errorf("%w: there is no repair %q", model.ErrNotFound, id)
}

// undo is an Undo under way.
type undo struct {
	root, dir, uuid string
	tree            *tree
	// made are the paths at which the repair has put something.
	made map[string]bool
	// known tells of the paths of files that were changed whether they are as
	// the repair had them before or after a change.
	known map[string]bool
}

func (u *undo) run(ctx context.Context, lines []note) error {
	info, err := db.ReadMarker(u.root)
	if err == nil && info != u.uuid {
		err = fmt.Errorf("%w: the notes are about the store %s, and there is %s", ErrMovedOn, u.uuid, info)
	}
	if err != nil {
		return err
	}
	database, err := db.Open(ctx, u.root, db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	copied, txID := "", 0
	u.made, u.known = make(map[string]bool), make(map[string]bool)
	for _, line := range lines {
		switch line.Op {
		case noteMend:
			copied, txID = filepath.Join(u.root, u.dir, backupName), line.TxID
		case noteChange, noteMade:
			u.made[line.Path] = true
		case noteMove:
			u.made[line.To] = true
		case noteForget, noteDone:
		}
	}
	err = database.TakeBack(ctx, copied, txID, func() error {
		if err := u.look(ctx, lines); err != nil {
			return err
		}
		for _, line := range slices.Backward(lines) {
			if err := errors.Join(context.Cause(ctx), u.each(ctx, &line, true)); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, model.ErrInvalid) && !errors.Is(err, ErrMovedOn) {
		err = fmt.Errorf("%w: %w", ErrMovedOn, err)
	}
	return err
}

// look looks whether everything is as the repair left it.
func (u *undo) look(ctx context.Context, lines []note) error {
	for _, line := range slices.Backward(lines) {
		if err := u.each(ctx, &line, false); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.known)) {
		if !u.known[name] {
			return fmt.Errorf("%s: %w: it has changed since", name, ErrMovedOn)
		}
	}
	return nil
}

// each looks at what one note is about and, if back is set, takes it back.
func (u *undo) each(ctx context.Context, n *note, back bool) error {
	switch n.Op {
	case noteChange:
		return u.tree.in(n.Path, func(dir *beneath.Dir, base string) error { return u.takeBack(n, dir, base, back) })
	case noteMade:
		return u.tree.in(n.Path, func(dir *beneath.Dir, base string) error { return n.unmake(dir, base, back) })
	case noteMove:
		return u.unmove(n, back)
	case noteForget:
		if back {
			return u.remember(ctx, n)
		}
	case noteMend, noteDone:
	}
	return nil
}

// takeBack takes back the change of a file, unless it was not made. A file that
// was changed more than once may be as it was between two changes: then there
// is nothing to be done about the later ones.
func (u *undo) takeBack(n *note, dir *beneath.Dir, base string, back bool) error {
	if n.Before == nil || n.After == nil {
		return fmt.Errorf("%w: a note without states", model.ErrCorrupt)
	}
	if back {
		if err := removeTemp(dir, n.Temp); err != nil {
			return err
		}
	}
	now, err := stateOf(dir, base, n.After.Content != nil)
	if err != nil {
		return err
	}
	before, after := n.Before.same(&now), n.After.same(&now)
	u.known[n.Path] = u.known[n.Path] || before || after
	if before || !after || !back {
		return nil
	}
	if n.Before.Kind == nothing && n.After.Kind == directory {
		// Other changes in it have been taken back by now.
		return dir.Remove(base)
	}
	return n.Before.establish(dir, base, n.Temp)
}

// unmake removes a file that was brought back, unless it was not.
func (n *note) unmake(dir *beneath.Dir, base string, back bool) error {
	if back {
		if err := removeTemp(dir, n.Temp); err != nil {
			return err
		}
	}
	now, err := stateOf(dir, base, false)
	if err != nil || now.Kind == nothing || !back {
		return err
	}
	return dir.Remove(base)
}

// unmove moves back what was moved, unless it was not.
func (u *undo) unmove(n *note, back bool) error {
	var from, to state
	look := func(s *state) func(dir *beneath.Dir, base string) error {
		return func(dir *beneath.Dir, base string) (err error) {
			*s, err = stateOf(dir, base, false)
			return err
		}
	}
	errFrom := u.tree.in(n.Path, look(&from))
	errTo := u.tree.in(n.To, look(&to))
	if errors.Is(errTo, fs.ErrNotExist) {
		to, errTo = state{Kind: nothing}, nil // not even its directory was made
	}
	switch err := errors.Join(errFrom, errTo); {
	case err != nil:
		return err
	case to.Kind == nothing:
		return nil
	case !back && u.made[n.Path]:
		return nil // which will be gone by then
	case from.Kind != nothing:
		return fmt.Errorf("%s: %w: there is something in its place", n.Path, ErrMovedOn)
	case !back:
		return nil
	}
	return u.tree.move(n.To, n.Path)
}
