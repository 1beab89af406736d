package vfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// copyOptions say what may be missing in a copy.
type copyOptions struct {
	// ignoreChownErrors leaves files to whoever makes them where their owner
	// cannot be set.
	ignoreChownErrors bool
	// lenient leaves out devices and attributes that may not be set.
	lenient bool
}

// copyTree copies the tree from into the empty directory to: all types of
// file, hard links, owners, modes, attributes, times, holes. File contents are
// shared where the file system can do that. Both trees are walked by
// descriptors, with a fixed number of them; a directory on which something is
// mounted is an error, which matches model.ErrBusy.
func copyTree(ctx context.Context, from, to *beneath.Dir, opts copyOptions) (err error) {
	c := copier{options: opts, root: to, links: make(map[inode]string)}
	if c.from, err = from.Cursor(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.from.Close()) }()
	if c.to, err = to.Cursor(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.to.Close()) }()
	err = c.enter(ctx, ".")
	for err == nil && len(c.levels) > 0 {
		err = c.step(ctx)
	}
	if err != nil {
		return fmt.Errorf("in %q: %w", c.path(""), err)
	}
	return nil
}

// copier is a copy under way. It has a stack of its own, because that of a
// goroutine cannot grow as deep as a tree.
type copier struct {
	options copyOptions
	root    *beneath.Dir // of the copy
	// from and to stand in the same directory of the two trees.
	from, to *beneath.Cursor
	levels   []level
	// links has the first name of each file that has several.
	links map[inode]string
	// cannotShare: the file system does not share contents.
	cannotShare bool
}

// level is a directory on the way from the root to where the cursors stand.
type level struct {
	name    string
	stat    unix.Stat_t
	pending []string // directories in it that are still to be copied
}

// inode identifies a file while its tree is being copied.
type inode struct{ dev, ino uint64 }

// path returns the path of an entry of the current directory, for links and
// messages.
func (c *copier) path(name string) string {
	var path strings.Builder
	for _, l := range c.levels {
		path.WriteString(l.name)
		path.WriteByte('/')
	}
	return path.String() + name
}

// step copies the next directory of the current one, or leaves that.
func (c *copier) step(ctx context.Context) error {
	here := &c.levels[len(c.levels)-1]
	if len(here.pending) == 0 {
		return c.leave()
	}
	name := here.pending[0]
	here.pending = here.pending[1:]
	if err := c.from.Enter(name); err != nil {
		return err
	}
	if err := c.to.Dir().Mkdir(name); err != nil {
		return err
	}
	if err := c.to.Enter(name); err != nil {
		return err
	}
	return c.enter(ctx, name)
}

// enter copies what is in the directory that the cursors have come to, except
// for its directories.
func (c *copier) enter(ctx context.Context, name string) error {
	stat, err := c.from.Dir().Stat(".")
	if err != nil {
		return err
	}
	c.levels = append(c.levels, level{name: name, stat: stat})
	here := &c.levels[len(c.levels)-1]
	names, err := c.from.Dir().Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		stat, err := c.from.Dir().Stat(name)
		switch {
		case errors.Is(err, unix.ENOENT): // removed meanwhile
			continue
		case err != nil:
			return err
		case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
			here.pending = append(here.pending, name)
			continue
		}
		if err := c.copyNode(ctx, name, &stat); err != nil {
			return err
		}
	}
	return nil
}

// leave gives the directory its attributes, now that nothing in it changes any
// more, and returns to the one above.
func (c *copier) leave() error {
	left := c.levels[len(c.levels)-1]
	if err := c.copyXattrs("."); err != nil {
		return err
	}
	c.levels = c.levels[:len(c.levels)-1]
	if len(c.levels) == 0 {
		return errors.Join(c.dress(".", &left.stat), c.setTimes(".", &left.stat))
	}
	// Only then, for it may become a directory that cannot be left.
	if err := errors.Join(c.from.Leave(), c.to.Leave()); err != nil {
		return err
	}
	return errors.Join(c.dress(left.name, &left.stat), c.setTimes(left.name, &left.stat))
}
