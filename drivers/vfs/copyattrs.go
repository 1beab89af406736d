package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// dress gives the copy of an entry its owner and mode.
func (c *copier) dress(name string, stat *unix.Stat_t) error {
	err := c.to.Dir().Chown(name, int(stat.Uid), int(stat.Gid))
	if err != nil && !c.options.ignoreChownErrors {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFLNK { // whose mode means nothing
		return nil
	}
	return c.to.Dir().Chmod(name, stat.Mode&0o7777)
}

// setTimes gives the copy of an entry its times.
func (c *copier) setTimes(name string, stat *unix.Stat_t) error {
	return c.to.Dir().Chtimes(name, stat.Atim, stat.Mtim)
}

// copyXattrs copies all extended attributes of an entry that belong to it:
// those of SELinux are the policy's business, and a signature of EVM
// (Documentation/ABI/testing/evm) covers the inode number.
func (c *copier) copyXattrs(name string) error {
	attrs, err := c.from.Dir().Xattrs(name)
	if err != nil {
		return err
	}
	for _, attr := range attrs {
		if attr == "security.selinux" || attr == "security.evm" {
			continue
		}
		value, err := c.from.Dir().Xattr(name, attr)
		if errors.Is(err, unix.ENODATA) { // removed meanwhile
			continue
		}
		if err != nil {
			return err
		}
		err = c.to.Dir().SetXattr(name, attr, value)
		if err != nil && (!c.options.lenient || !errors.Is(err, unix.EPERM)) {
			return err
		}
	}
	return nil
}
