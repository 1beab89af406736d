package archive

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// hide carries out a whiteout: what was called name before this archive
// vanishes, and what the archive has put there so far stays.
func (u *unpacker) hide(ctx context.Context, place beneath.Place, name string) (err error) {
	full := place.Join(name)
	if !u.seen.has(full) {
		return u.hideEntry(ctx, place, name)
	}
	dir, err := place.Enter(name)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return nil // the archive's own file has replaced all
	case errors.Is(err, unix.ENOENT):
		return u.hideEntry(ctx, place, name) // the archive's own file was left out
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := u.forgetOld(dir, full); err != nil {
		return err
	}
	return u.hideBelow(ctx, dir, full)
}

// hideEntry hides an entry with all that is below it.
func (u *unpacker) hideEntry(ctx context.Context, place beneath.Place, name string) error {
	if err := u.remove(ctx, place.Dir, name); err != nil || !u.opts.Whiteouts.overlay() {
		return err
	}
	if lower, err := u.shown(place.Join(name)); err != nil || lower.dir == nil {
		return err
	}
	return place.Mknod(name, unix.S_IFCHR, 0)
}

// hideBelow carries out an opaque whiteout: what was in the directory before
// this archive vanishes. name is the directory's name beneath the root.
func (u *unpacker) hideBelow(ctx context.Context, dir *beneath.Dir, name string) (err error) {
	u.places.Forget()
	cursor, err := dir.Cursor()
	if err != nil {
		return err
	}
	err = u.clear(ctx, cursor, name)
	if err = errors.Join(err, cursor.Close()); err != nil || !u.opts.Whiteouts.overlay() {
		return err
	}
	if name == "" {
		if err := u.hideLowers(ctx); err != nil {
			return err
		}
	}
	return u.opts.Whiteouts.setOpaque(dir, ".")
}

// clear removes what the archive has not made from the directory in which the
// cursor stands. It goes no deeper than the names of entries are long.
func (u *unpacker) clear(ctx context.Context, cursor *beneath.Cursor, name string) error {
	entries, err := cursor.Dir().Names()
	if err != nil {
		return err
	}
	here := beneath.Place{Name: name}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		full := here.Join(entry)
		if !u.seen.has(full) {
			err = cursor.Dir().RemoveTree(ctx, entry)
		} else {
			err = u.clearBelow(ctx, cursor, entry, full)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clearBelow does the same one level down, if there is one.
func (u *unpacker) clearBelow(ctx context.Context, cursor *beneath.Cursor, entry, full string) error {
	err := cursor.Enter(entry)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := u.forgetOld(cursor.Dir(), full); err != nil {
		return err
	}
	if err := u.clear(ctx, cursor, full); err != nil {
		return err
	}
	return cursor.Leave()
}

// forgetOld gives a directory that stays only because entries are below it the
// attributes that it would have if it had been made for them.
func (u *unpacker) forgetOld(dir *beneath.Dir, name string) error {
	if u.seen.isEntry(name) {
		return nil
	}
	if err := dropXattrs(dir, "."); err != nil {
		return err
	}
	return u.beDefault(dir)
}

// hideLowers hides all that the lower trees of an overlay have in their roots:
// an overlay ignores that its own root is opaque.
func (u *unpacker) hideLowers(ctx context.Context) error {
	top, err := u.lowers.dir("")
	if err != nil {
		return err
	}
	names, err := top.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.hideLower(name); err != nil {
			return err
		}
	}
	return nil
}

// hideLower hides one entry of the lower roots behind a whiteout, or behind
// the directory that the archive has put there.
func (u *unpacker) hideLower(name string) error {
	err := u.root.Mknod(name, unix.S_IFCHR, 0)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	stat, err := u.root.Stat(name)
	if err != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return err
	}
	return u.opts.Whiteouts.setOpaque(u.root, name)
}

// shown returns what the lower trees of an overlay have under a name, if it is
// not hidden by a directory above it in the upper one.
func (u *unpacker) shown(name string) (lowerEntry, error) {
	found, err := u.lowers.find(name)
	if err != nil || found.dir == nil {
		return lowerEntry{}, err
	}
	for name, _ = splitName(name); name != ""; name, _ = splitName(name) {
		dir, err := u.root.PlainDir(name)
		if err != nil {
			return lowerEntry{}, err
		}
		opaque, err := u.opts.Whiteouts.isOpaque(dir, ".")
		if err = errors.Join(err, dir.Close()); err != nil || opaque {
			return lowerEntry{}, err
		}
	}
	return found, nil
}
