package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// node is a file that has just been made: an entry of a directory, and the
// open file itself where it can be opened. What can be changed through the
// open file is, because somebody may have put another one in its place.
type node struct {
	dir  *beneath.Dir
	name string
	file *os.File // nil for all but regular files
}

func (n node) chown(uid, gid int) error {
	if n.file == nil {
		return n.dir.Chown(n.name, uid, gid)
	}
	return beneath.Retry(func() error { return unix.Fchown(int(n.file.Fd()), uid, gid) })
}

func (n node) chmod(mode uint32) error {
	if n.file == nil {
		return n.dir.Chmod(n.name, mode)
	}
	return beneath.Retry(func() error { return unix.Fchmod(int(n.file.Fd()), mode) })
}

func (n node) setXattr(attr string, value []byte) error {
	if n.file == nil {
		return n.dir.SetXattr(n.name, attr, value)
	}
	return beneath.Retry(func() error { return unix.Fsetxattr(int(n.file.Fd()), attr, value, 0) })
}

// setAttributes gives a file the owner, the mode and the extended attributes
// of its entry. The order matters: a change of owner clears the set-id bits
// and security.capability (chown(2)).
func (u *unpacker) setAttributes(n node, hdr *tar.Header) error {
	uid, gid, err := u.owners.onDisk(hdr.Uid, hdr.Gid)
	if err != nil {
		return err
	}
	if u.opts.ForceMask != nil {
		stat := statOf(hdr, uid, gid)
		if err := headerXattrs(hdr, n.setXattr, OverrideAttr, u.overrideAttr()); err != nil {
			return err
		}
		return u.force(n, &stat)
	}
	if err := u.chown(n, uid, gid); err != nil {
		return err
	}
	if hdr.Typeflag != tar.TypeSymlink { // the mode of a link has no meaning
		if err := n.chmod(permissions(hdr)); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	return headerXattrs(hdr, n.setXattr)
}

// permissions returns the permission, set-id and sticky bits of an entry.
func permissions(hdr *tar.Header) uint32 { return uint32(hdr.Mode & 0o7777) }

// chown sets the owner of a file.
func (u *unpacker) chown(n node, uid, gid int) error {
	err := n.chown(uid, gid)
	switch {
	case err == nil, u.opts.IgnoreChownErrors:
		return nil
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: set owner %d:%d: is it mapped in the user namespace (subuid(5), subgid(5))? %w",
			model.ErrInvalidMappings, uid, gid, err)
	}
	return fmt.Errorf("set owner %d:%d: %w", uid, gid, err)
}

// setTimes sets the times of a file that is not a directory.
func (n node) setTimes(hdr *tar.Header) error {
	atime, mtime := fileTimes(hdr)
	return n.dir.Chtimes(n.name, atime, mtime)
}
