package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Changes compares two trees at trusted paths and returns what makes oldDir
// into newDir, sorted by path. An empty oldDir stands for an empty tree.
//
// A file is modified if its type, mode, owner, device number, size,
// modification time, link target, security.capability or one of its user.*
// attributes differs; contents are not read. Times whose fraction of a second
// is missing on one side are compared by seconds. Files that are one and the
// same inode, and all below directories that are, have not changed.
//
// A directory is modified if its mode, owner or attributes differ, if
// something was added to it, or if its time differs although nothing was
// deleted from it. A deletion alone does not count, and neither does what
// happens further below. The root is never listed. What was below a deleted
// directory, or below one that something else has replaced, is not listed
// either.
func Changes(ctx context.Context, oldDir, newDir string, opts CompareOptions) (_ []model.Change, err error) {
	newCursor, err := openCursor(newDir)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, newCursor.Close()) }()
	c := comparison{now: newCursor, opts: opts}
	if oldDir == "" {
		err = c.addAll(ctx, "")
	} else {
		err = c.compareWith(ctx, oldDir)
	}
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return c.sorted(), nil
}

func openCursor(dir string) (*beneath.Cursor, error) {
	root, err := beneath.Open(dir)
	if err != nil {
		return nil, err
	}
	cursor, err := root.Cursor()
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return cursor, root.Close()
}

// comparison is a comparison of two trees under way.
type comparison struct {
	changeList
	old, now *beneath.Cursor
	opts     CompareOptions
}

// changeList collects changes.
type changeList []model.Change

func (l *changeList) add(kind model.ChangeKind, name string) {
	*l = append(*l, model.Change{Path: "/" + name, Kind: kind})
}

func (l *changeList) sorted() []model.Change {
	slices.SortFunc(*l, func(a, b model.Change) int { return cmp.Compare(a.Path, b.Path) })
	return *l
}

func (c *comparison) compareWith(ctx context.Context, oldDir string) (err error) {
	if c.old, err = openCursor(oldDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.old.Close()) }()
	_, err = c.directory(ctx, "")
	return err
}

// directory compares the directories in which the cursors stand, called name.
func (c *comparison) directory(ctx context.Context, name string) (happened dirEvents, err error) {
	if err := checkLength(name); err != nil {
		return happened, aboutFile(name, err)
	}
	oldNames, err := c.old.Dir().Names()
	if err != nil {
		return happened, err
	}
	names, err := c.now.Dir().Names()
	if err != nil {
		return happened, err
	}
	here := beneath.Place{Name: name}
	for _, entry := range merged(oldNames, names) {
		if err := ctx.Err(); err != nil {
			return happened, err
		}
		event, err := c.entry(ctx, entry, here.Join(entry))
		if err != nil {
			return happened, aboutFile(here.Join(entry), err)
		}
		happened.note(event)
	}
	return happened, nil
}

// merged returns the names that are in one of two sorted lists, or in both.
func merged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// entry compares an entry of both directories.
func (c *comparison) entry(ctx context.Context, entry, name string) (dirEvent, error) {
	old, oldErr := c.opts.locate(c.old.Dir(), entry)
	now, err := c.opts.locate(c.now.Dir(), entry)
	gone, missing := errors.Is(err, unix.ENOENT), errors.Is(oldErr, unix.ENOENT)
	switch {
	case gone && missing:
		return nothing, nil
	case gone && oldErr == nil:
		c.add(model.ChangeDelete, name)
		return deletion, nil
	case missing && err == nil:
		return addition, c.added(ctx, &now, name)
	case err != nil || oldErr != nil:
		return nothing, errors.Join(oldErr, err)
	case inodeOf(&old.stat) == inodeOf(&now.stat):
		return nothing, nil
	case old.kind() != now.kind():
		return nothing, c.replaced(ctx, &now, name)
	case now.isDir():
		return nothing, c.both(ctx, &old, &now, name)
	}
	changed, err := differ(&old, &now)
	if changed {
		c.add(model.ChangeModify, name)
	}
	return nothing, err
}

// both compares directories that are called the same in both trees.
func (c *comparison) both(ctx context.Context, old, now *located, name string) error {
	verdict, err := judge(old, now)
	if err != nil {
		return err
	}
	if err := c.now.Enter(now.name); err != nil {
		return unlessVanished(err)
	}
	if err := c.old.Enter(old.name); err != nil {
		return err
	}
	happened, err := c.directory(ctx, name)
	if err != nil {
		return err
	}
	if verdict.modified(happened) {
		c.add(model.ChangeModify, name)
	}
	return errors.Join(c.old.Leave(), c.now.Leave())
}

// added lists a file that is new, and what is below it.
func (c *comparison) added(ctx context.Context, now *located, name string) error {
	c.add(model.ChangeAdd, name)
	return c.addBelow(ctx, now, name)
}

// replaced lists a file that has taken the place of one of another type.
func (c *comparison) replaced(ctx context.Context, now *located, name string) error {
	c.add(model.ChangeModify, name)
	return c.addBelow(ctx, now, name)
}

func (c *comparison) addBelow(ctx context.Context, now *located, name string) error {
	if !now.isDir() {
		return nil
	}
	if err := c.now.Enter(now.name); err != nil {
		return unlessVanished(err)
	}
	return errors.Join(c.addAll(ctx, name), c.now.Leave())
}

// addAll lists all that is below the directory in which the new cursor stands.
func (c *comparison) addAll(ctx context.Context, name string) error {
	here := beneath.Place{Name: name}
	return c.now.Dir().Walk(ctx, func(entry *beneath.Entry) error {
		c.add(model.ChangeAdd, here.Join(entry.Path()))
		return nil
	})
}
