package beneath

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// In all methods of this file but Enter the name "." means the directory
// itself, where the system call makes sense for it.

// Stat returns what fstatat(2) tells about the entry itself.
func (d *Dir) Stat(name string) (stat unix.Stat_t, err error) {
	err = entryCall("fstatat", name, func() error {
		return unix.Fstatat(d.fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	})
	return stat, err
}

// Create makes a new regular file and opens it for writing. Its mode is 0600
// or less, depending on the umask; use fchmod to set another one.
func (d *Dir) Create(name string) (*os.File, error) {
	if err := checkEntry("openat", name); err != nil {
		return nil, err
	}
	fd, err := d.openAt(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Mkdir makes a new directory. Its mode is 0700 or less, depending on the
// umask; use fchmod to set another one.
func (d *Dir) Mkdir(name string) error {
	return entryCall("mkdirat", name, func() error { return unix.Mkdirat(d.fd, name, 0o700) })
}

// Enter opens the directory that is the entry called name. A symbolic link or
// another file gives an error that matches ENOTDIR.
func (d *Dir) Enter(name string) (*Dir, error) {
	if err := checkEntry("openat", name); err != nil {
		return nil, err
	}
	fd, err := d.openAt(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{fd: fd}, nil
}

// Symlink makes a new symbolic link, whose target may be anything.
func (d *Dir) Symlink(target, name string) error {
	return entryCall("symlinkat", name, func() error { return unix.Symlinkat(target, d.fd, name) })
}

// Readlink returns the target of a symbolic link.
func (d *Dir) Readlink(name string) (target string, err error) {
	err = entryCall("readlinkat", name, func() (err error) {
		target, err = readlinkat(d.fd, name)
		return err
	})
	return target, err
}

// Mknod makes a new special file of the type in mode, with the permissions in
// mode as far as the umask allows them.
func (d *Dir) Mknod(name string, mode uint32, dev uint64) error {
	return entryCall("mknodat", name, func() error { return unix.Mknodat(d.fd, name, mode, int(dev)) })
}

// Link makes name another name of the entry called oldName of the directory
// from. A symbolic link gets the new name itself.
func (d *Dir) Link(from *Dir, oldName, name string) error {
	if err := checkEntry("linkat", oldName); err != nil {
		return err
	}
	return entryCall("linkat", name, func() error { return unix.Linkat(from.fd, oldName, d.fd, name, 0) })
}

// Remove removes the entry if it is not a directory, or an empty one.
func (d *Dir) Remove(name string) error {
	err := entryCall("unlinkat", name, func() error { return unix.Unlinkat(d.fd, name, 0) })
	if !errors.Is(err, unix.EISDIR) {
		return err
	}
	return entryCall("unlinkat", name, func() error { return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) })
}

// Chown sets the owner and group of the entry itself.
func (d *Dir) Chown(name string, uid, gid int) error {
	return entryCall("fchownat", name, func() error {
		return unix.Fchownat(d.fd, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Chmod sets the mode of an entry that is not a symbolic link; for one, the
// error matches EOPNOTSUPP.
func (d *Dir) Chmod(name string, mode uint32) error {
	return entryCall("fchmodat", name, func() error {
		err := unix.Fchmodat(d.fd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.EOPNOTSUPP) {
			return d.chmodByProc(name, mode)
		}
		return err
	})
}

// chmodByProc is for kernels before 6.6, which lack fchmodat2(2). A symbolic
// link at the end of the path is the entry itself, opened with O_PATH, and so
// is refused by chmod(2).
func (d *Dir) chmodByProc(name string, mode uint32) error {
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	entry := Dir{fd: fd}
	return errors.Join(unix.Chmod(entry.procSelf(), mode), entry.Close())
}

// Chtimes sets the access and modification times of the entry itself.
func (d *Dir) Chtimes(name string, atime, mtime unix.Timespec) error {
	return entryCall("utimensat", name, func() error {
		return unix.UtimesNanoAt(d.fd, name, []unix.Timespec{atime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// entryCall makes a system call on the entry of a directory.
func entryCall(op, name string, call func() error) error {
	if err := checkEntry(op, name); err != nil {
		return err
	}
	return pathError(op, name, Retry(call))
}
