package vfs

import (
	"context"
	"errors"
	"path"

	"golang.org/x/sys/unix"
)

// copyNode copies an entry of the current directory that is not a directory.
func (c *copier) copyNode(ctx context.Context, name string, stat *unix.Stat_t) error {
	id := inode{stat.Dev, stat.Ino}
	if first, copied := c.links[id]; copied {
		return c.link(first, name)
	}
	made, err := c.makeNode(ctx, name, stat)
	if err != nil || !made {
		return err
	}
	if stat.Nlink > 1 {
		c.links[id] = c.path(name)
	}
	// Changing the owner clears set-id bits and capabilities, changing
	// anything the times: each comes after what would undo it.
	if err := c.dress(name, stat); err != nil {
		return err
	}
	if err := c.copyXattrs(name); err != nil {
		return err
	}
	return c.setTimes(name, stat)
}

// makeNode makes the copy of an entry with its content, for the time being
// without its attributes.
func (c *copier) makeNode(ctx context.Context, name string, stat *unix.Stat_t) (made bool, err error) {
	switch kind := stat.Mode & unix.S_IFMT; kind {
	case unix.S_IFREG:
		return true, c.copyFile(ctx, name)
	case unix.S_IFLNK:
		target, err := c.from.Dir().Readlink(name)
		if err != nil {
			return false, err
		}
		return true, c.to.Dir().Symlink(target, name)
	case unix.S_IFCHR, unix.S_IFBLK:
		err := c.to.Dir().Mknod(name, kind|0o600, stat.Rdev)
		if c.options.lenient && errors.Is(err, unix.EPERM) {
			return false, nil
		}
		return err == nil, err
	default: // FIFOs and sockets
		err := c.to.Dir().Mknod(name, kind|0o600, 0)
		return err == nil, err
	}
}

// link makes name another name of a file that has been copied.
func (c *copier) link(first, name string) (err error) {
	parent, entry := path.Split(first)
	if parent == c.path("") {
		return c.to.Dir().Link(c.to.Dir(), entry, name)
	}
	dir, err := c.root.PlainDir(parent)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return c.to.Dir().Link(dir, entry, name)
}
