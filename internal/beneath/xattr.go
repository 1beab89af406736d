package beneath

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// The calls on extended attributes that take a directory and a name came only
// with Linux 6.13, so the entry is named through /proc. None of them follows
// it (the l in their names).

// SetXattr sets an extended attribute of the entry itself.
func (d *Dir) SetXattr(name, attr string, value []byte) error {
	return entryCall("lsetxattr", name, func() error { return unix.Lsetxattr(d.procPath(name), attr, value, 0) })
}

// RemoveXattr removes an extended attribute of the entry itself.
func (d *Dir) RemoveXattr(name, attr string) error {
	return entryCall("lremovexattr", name, func() error { return unix.Lremovexattr(d.procPath(name), attr) })
}

// Xattrs returns the names of the extended attributes of the entry itself. A
// file system that has none gives none.
func (d *Dir) Xattrs(name string) ([]string, error) {
	if err := checkEntry("llistxattr", name); err != nil {
		return nil, err
	}
	path := d.procPath(name)
	list, err := growing(func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, pathError("llistxattr", name, err)
	}
	var attrs []string
	for attr := range bytes.SplitSeq(list, []byte{0}) {
		if len(attr) > 0 {
			attrs = append(attrs, string(attr))
		}
	}
	return attrs, nil
}

// Xattr returns the value of an extended attribute of the entry itself. The
// error matches ENODATA if there is no such attribute, and ENOTSUP if the file
// system has none.
func (d *Dir) Xattr(name, attr string) ([]byte, error) {
	if err := checkEntry("lgetxattr", name); err != nil {
		return nil, err
	}
	path := d.procPath(name)
	value, err := growing(func(buf []byte) (int, error) { return unix.Lgetxattr(path, attr, buf) })
	return value, pathError("lgetxattr", name, err)
}

// growing calls get with larger and larger buffers until the result fits.
func growing(get func(buf []byte) (int, error)) ([]byte, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := retry(func() (int, error) { return get(buf) })
		// The kernel lets neither a list nor a value exceed 64 KiB (xattr(7));
		// beyond that ERANGE is an answer.
		if errors.Is(err, unix.ERANGE) && size <= 1<<16 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}
