// Package at has what drivers need to keep their own directories, beyond what
// package beneath offers: directories that know their path, and files and
// directories that are made with exactly the owner and mode that they should
// have. No symbolic link is ever followed: where a store's own directories
// have been tampered with, the error matches model.ErrCorrupt.
package at

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Dir is an open directory. Its methods may be used by several goroutines at
// once.
type Dir struct {
	*beneath.Dir
	path string
}

// Open opens the directory at a path that is trusted.
func Open(path string) (*Dir, error) {
	dir, err := beneath.Open(path)
	if err != nil {
		return nil, err
	}
	return &Dir{Dir: dir, path: path}, nil
}

// Sub opens a directory at a path below d.
func (d *Dir) Sub(name string) (*Dir, error) {
	dir, err := d.PlainDir(name)
	if err != nil {
		return nil, d.fault("open", name, err)
	}
	return &Dir{Dir: dir, path: d.Path(name)}, nil
}

// Path returns the path of what is called name, for messages and for those
// who take no descriptors.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// ProcPath returns a path that leads to d for as long as it is open, whatever
// it is called now, within this process.
func (d *Dir) ProcPath() string { return fmt.Sprintf("/proc/self/fd/%d", d.Fd()) }

// IsDir tells whether the entry called name exists and is a directory.
func (d *Dir) IsDir(name string) (bool, error) {
	stat, err := d.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR, err
}

// IsMountPoint tells whether something is mounted on the directory called
// name. The mount table, which may be long, is not read.
func (d *Dir) IsMountPoint(name string) (bool, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(d.Fd(), name, &how)
	switch {
	case errors.Is(err, unix.EXDEV):
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, d.fault("open", name, err)
	}
	return false, unix.Close(fd)
}

// Entries returns what the directory contains, sorted by name.
func (d *Dir) Entries() (entries []fs.DirEntry, err error) {
	// Opened anew: d may be opened for its path only, and its position in the
	// list is shared.
	file, err := os.Open(d.ProcPath())
	if err != nil {
		return nil, d.fault("open", ".", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if entries, err = file.ReadDir(-1); err != nil {
		return nil, d.fault("readdir", ".", err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// fault wraps the error of an operation on name. One that shows that a
// directory is none, or behind a link, matches model.ErrCorrupt.
func (d *Dir) fault(operation, name string, err error) error {
	if err == nil {
		return nil
	}
	if !errors.As(err, new(*fs.PathError)) {
		err = &fs.PathError{Op: operation, Path: name, Err: err}
	}
	err = fmt.Errorf("%s: %w", d.path, err)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("%w: %w", model.ErrCorrupt, err)
	}
	return err
}
