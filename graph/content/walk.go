package content

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// Found is something in an area. All paths are relative to the root.
type Found struct {
	// Path is where it is.
	Path string
	// Final is the path of the content file that it is, or would have become
	// if its author had finished it.
	Final string
	// Mode is its st_mode (inode(7)), and Size its st_size in bytes.
	Mode uint32
	Size int64
}

// Finished tells whether it has the name that it was meant to get.
func (f Found) Finished() bool { return f.Path == f.Final }

// IsUserDir tells whether it is the directory of an object whose contents
// belong to whoever uses the store.
func (f Found) IsUserDir() bool {
	return f.Mode&unix.S_IFMT == unix.S_IFDIR && path.Base(f.Path) == UserDirName && strings.Count(f.Path, "/") == 2
}

// Walk calls fn for everything in an area, sorted by path: content files,
// finished or not, the directories UserDirName of objects, and whatever else
// is there. The directories of objects themselves are left out, and so is what
// is in a directory that is found. An area that does not exist is empty.
func (f *Files) Walk(ctx context.Context, area string, fn func(Found) error) error {
	dir, err := f.root.PlainDir(area)
	if err != nil {
		return ignoreMissing(fmt.Errorf("directory %s: %w", area, err))
	}
	defer func() { _ = dir.Close() }()
	err = dir.Walk(ctx, func(e *beneath.Entry) error {
		name := path.Join(area, e.Path())
		found := Found{Path: name, Final: path.Join(path.Dir(name), finalName(e.Name)), Mode: e.Stat.Mode, Size: e.Stat.Size}
		if e.IsDir() && path.Dir(name) == area {
			return nil // the directory of an object
		}
		if err := fn(found); err != nil || !e.IsDir() {
			return err
		}
		return fs.SkipDir
	})
	if err != nil {
		return fmt.Errorf("directory %s: %w", area, err)
	}
	return nil
}

// Stat returns what fstatat(2) tells about what is at a path. If there is
// nothing the error matches fs.ErrNotExist.
func (f *Files) Stat(name string) (unix.Stat_t, error) {
	dir, base, err := split(name)
	if err != nil {
		return unix.Stat_t{}, err
	}
	parent, err := f.root.PlainDir(dir)
	if err != nil {
		return unix.Stat_t{}, fmt.Errorf("directory %s: %w", dir, err)
	}
	defer func() { _ = parent.Close() }()
	return parent.Stat(base)
}
