package beneath

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Cursor stands in a directory of a tree and moves from level to level. It
// holds one descriptor, so that no depth of a tree exhausts them. A tree that
// is changed meanwhile cannot lead it out: it goes down without following
// links or crossing mounts, and up only to the directory that it came from.
type Cursor struct {
	dir   *Dir
	above []identity // the directories from the start to the parent of dir
}

// identity tells directories apart that exist at the same time.
type identity struct{ dev, ino uint64 }

// Cursor returns a cursor that stands in d. It is independent of d.
func (d *Dir) Cursor() (*Cursor, error) {
	fd, err := d.openAt(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Cursor{dir: &Dir{fd: fd}}, nil
}

// Dir returns the directory that the cursor stands in. It is closed when the
// cursor moves.
func (c *Cursor) Dir() *Dir { return c.dir }

// Enter moves to the sub-directory called name. An error leaves the cursor
// where it is: it matches ENOTDIR or ENOENT if there is no such directory, and
// model.ErrBusy if something is mounted on it.
func (c *Cursor) Enter(name string) error {
	if err := checkEntry("openat2", name); err != nil {
		return err
	}
	here, err := c.dir.identity()
	if err != nil {
		return err
	}
	fd, err := c.dir.openat2(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV)
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("%w: something is mounted there: %w", model.ErrBusy, err)
	}
	if err != nil {
		return err
	}
	c.above = append(c.above, here)
	return c.move(fd)
}

// Leave moves to the directory that the cursor came from. The error matches
// model.ErrBusy if the directory has been moved to another one meanwhile.
func (c *Cursor) Leave() error {
	fd, err := c.dir.openAt("..", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	parent := &Dir{fd: fd}
	found, err := parent.identity()
	last := len(c.above) - 1
	if err == nil && found != c.above[last] {
		err = fmt.Errorf("%w: directory was moved while its tree was read", model.ErrBusy)
	}
	if err != nil {
		return errors.Join(err, parent.Close())
	}
	c.above = c.above[:last]
	return c.move(fd)
}

// Close closes the cursor.
func (c *Cursor) Close() error { return c.dir.Close() }

func (c *Cursor) move(fd int) error {
	left := c.dir
	c.dir = &Dir{fd: fd}
	return left.Close()
}

func (d *Dir) identity() (identity, error) {
	stat, err := d.Stat(".")
	return identity{dev: stat.Dev, ino: stat.Ino}, err
}
