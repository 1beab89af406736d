package archive

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// makeParent makes a directory that an entry needs and that the archive does
// not contain, or not yet.
func (u *unpacker) makeParent(parent beneath.Place, name string) (*beneath.Dir, error) {
	attributes := u.beDefault
	if u.opts.Whiteouts.overlay() {
		if stat, err := parent.Stat(name); err == nil && isWhiteout(&stat) {
			if err := parent.Remove(name); err != nil {
				return nil, err
			}
			return u.makeOpaque(parent.Dir, name, u.beDefault)
		}
		lower, err := u.shown(parent.Join(name))
		if err != nil {
			return nil, err
		}
		if lower.isDir() {
			attributes = func(dir *beneath.Dir) error { return u.beLike(dir, lower.dir, name, &lower.stat) }
		}
	}
	if err := parent.Mkdir(name); err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("%w: %q is in the way: %w", model.ErrInvalid, name, unix.ENOTDIR)
		}
		return nil, err
	}
	return openNew(parent.Dir, name, attributes)
}

// makeOpaque makes a directory in place of something that was not one. What
// lower directories of the same name contain must not show through it.
func (u *unpacker) makeOpaque(parent *beneath.Dir, name string, then func(*beneath.Dir) error) (*beneath.Dir, error) {
	if err := parent.Mkdir(name); err != nil {
		return nil, err
	}
	return openNew(parent, name, func(dir *beneath.Dir) error {
		if err := u.opts.Whiteouts.setOpaque(dir, "."); err != nil {
			return err
		}
		return then(dir)
	})
}

// openNew opens a directory that has just been made and does something to it.
func openNew(parent *beneath.Dir, name string, then func(*beneath.Dir) error) (*beneath.Dir, error) {
	dir, err := parent.Enter(name)
	if err != nil {
		return nil, err
	}
	if err := then(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// beDefault gives a directory the attributes of one that has no entry.
func (u *unpacker) beDefault(dir *beneath.Dir) error {
	n := node{dir: dir, name: "."}
	uid, gid, err := u.owners.onDisk(0, 0)
	if err != nil {
		return err
	}
	const mode = 0o755
	if u.opts.ForceMask != nil {
		return u.force(n, &unix.Stat_t{Uid: uint32(uid), Gid: uint32(gid), Mode: unix.S_IFDIR | mode})
	}
	if err := u.chown(n, uid, gid); err != nil {
		return err
	}
	return n.chmod(mode)
}

// beLike gives a directory of an overlay the attributes of the lower one that
// it hides, as the overlay does itself when something is put into a directory.
func (u *unpacker) beLike(dir, lower *beneath.Dir, name string, stat *unix.Stat_t) error {
	n := node{dir: dir, name: "."}
	if err := u.beStat(n, lower, name, *stat); err != nil {
		return err
	}
	attrs, err := lower.Xattrs(name)
	if err != nil {
		return err
	}
	for _, attr := range attrs {
		if attr == "security.selinux" || belongsToOverlay(attr) || u.opts.ForceMask != nil && (attr == OverrideAttr || attr == u.overrideAttr()) {
			continue
		}
		value, err := lower.Xattr(name, attr)
		if err == nil {
			err = ignoreUnsupported(n.setXattr(attr, value))
		}
		if err != nil {
			return fmt.Errorf("extended attribute %q: %w", attr, err)
		}
	}
	return nil
}

// beStat gives a directory the owner and mode of the lower one called name.
func (u *unpacker) beStat(n node, lower *beneath.Dir, name string, stat unix.Stat_t) error {
	if u.opts.ForceMask != nil {
		if err := trueStat(lower, name, &stat, OverrideAttr, u.overrideAttr()); err != nil {
			return err
		}
		return u.force(n, &stat)
	}
	if err := u.chown(n, int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	return n.chmod(stat.Mode & 0o7777)
}
