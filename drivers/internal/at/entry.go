package at

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Mkdir makes a directory of exactly the given mode, whatever the process's
// umask is, that belongs to uid and gid.
func (d *Dir) Mkdir(name string, mode uint32, uid, gid int) error {
	err := d.Dir.Mkdir(name)
	if err == nil && (uid != os.Geteuid() || gid != os.Getegid()) {
		err = d.Chown(name, uid, gid)
	}
	if err == nil {
		err = d.Chmod(name, mode)
	}
	return d.fault("mkdir", name, err)
}

// WriteFile makes a file of exactly the given mode, which does not exist yet.
func (d *Dir) WriteFile(name string, content []byte, mode fs.FileMode) (err error) {
	file, err := d.Create(name)
	if err != nil {
		return d.fault("create", name, err)
	}
	defer func() { err = d.fault("write", name, errors.Join(err, file.Close())) }()
	if err := file.Chmod(mode); err != nil {
		return err
	}
	_, err = file.Write(content)
	return err
}

// ReadFile returns the content of a regular file of at most limit bytes. The
// error for anything else matches model.ErrCorrupt.
func (d *Dir) ReadFile(name string, limit int) (content []byte, err error) {
	file, err := d.RegularEntry(name)
	if errors.Is(err, model.ErrInvalid) { // not a regular file
		return nil, fmt.Errorf("%w: %w", model.ErrCorrupt, d.fault("read", name, err))
	}
	if err != nil {
		return nil, d.fault("read", name, err)
	}
	defer func() { err = d.fault("read", name, errors.Join(err, file.Close())) }()
	content, err = io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err == nil && len(content) > limit {
		err = fmt.Errorf("%w: longer than %d bytes", model.ErrCorrupt, limit)
	}
	return content, err
}

// Target returns what a symbolic link points to. The error matches
// model.ErrCorrupt if name is something else, or if the target is longer than
// limit bytes.
func (d *Dir) Target(name string, limit int) (string, error) {
	target := make([]byte, limit+1)
	n, err := unix.Readlinkat(d.Fd(), name, target)
	switch {
	case errors.Is(err, unix.EINVAL):
		err = fmt.Errorf("%w: not a symbolic link", model.ErrCorrupt)
	case err == nil && n > limit:
		err = fmt.Errorf("%w: target is longer than %d bytes", model.ErrCorrupt, limit)
	}
	if err != nil {
		return "", d.fault("readlink", name, err)
	}
	return string(target[:n]), nil
}

// Remove removes a file or an empty directory. It need not exist.
func (d *Dir) Remove(name string) error {
	if err := d.Dir.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return d.fault("remove", name, err)
	}
	return nil
}

// Rename gives a file another name and replaces what has that name.
func (d *Dir) Rename(from, to string) error {
	return d.fault("rename", from, unix.Renameat(d.Fd(), from, d.Fd(), to))
}

// Exchange lets two files change their names. A file system that cannot do that
// gives an error that matches unix.EINVAL.
func (d *Dir) Exchange(one, other string) error {
	return d.fault("exchange", one, unix.Renameat2(d.Fd(), one, d.Fd(), other, unix.RENAME_EXCHANGE))
}

// RenameNew gives a file a name that nothing has. The error matches
// fs.ErrExist if something has it.
func (d *Dir) RenameNew(from, to string) error {
	err := unix.Renameat2(d.Fd(), from, d.Fd(), to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		// A file system that does not know the flag.
		if _, err := d.Stat(to); !errors.Is(err, fs.ErrNotExist) {
			return d.fault("rename", from, errors.Join(fs.ErrExist, err))
		}
		return d.Rename(from, to)
	}
	return d.fault("rename", from, err)
}
