package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

// Files are the content files of a store.
type Files struct{ root *beneath.Dir }

// Open opens the content files of the store whose root is the given directory.
func Open(root string) (*Files, error) {
	dir, err := beneath.Open(root)
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	return &Files{root: dir}, nil
}

// Close ends the use of the content files. Files that are open stay open.
func (f *Files) Close() error { return f.root.Close() }

// split returns the directory and the name of a path, which must be one of
// ours: relative, clean and with a directory.
func split(name string) (dir, base string, err error) {
	if !fs.ValidPath(name) || !strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%w: %q is not the path of a content file", model.ErrInvalid, name)
	}
	return path.Dir(name), path.Base(name), nil
}

// Open opens a content file for reading. If it is missing, is not a file, or has
// another size than it should, the error matches model.ErrCorrupt.
func (f *Files) Open(c model.Content) (*os.File, error) {
	file, size, err := f.open(c.Path)
	if err != nil {
		for _, damage := range []error{fs.ErrNotExist, model.ErrInvalid, unix.ELOOP, unix.ENOTDIR} {
			if errors.Is(err, damage) {
				return nil, fmt.Errorf("content file %s: %w: %w", c.Path, model.ErrCorrupt, err)
			}
		}
		return nil, fmt.Errorf("content file %s: %w", c.Path, err)
	}
	if size != c.Size {
		return nil, errors.Join(fmt.Errorf("content file %s: %w: it has %d bytes instead of %d", c.Path, model.ErrCorrupt, size, c.Size), file.Close())
	}
	return file, nil
}

func (f *Files) open(name string) (*os.File, int64, error) {
	dir, base, err := split(name)
	if err != nil {
		return nil, 0, err
	}
	parent, err := f.root.PlainDir(dir)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = parent.Close() }()
	file, err := parent.RegularEntry(base)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// Verify reads a content file and compares its size and digest with what they
// should be. A difference gives an error that matches model.ErrCorrupt.
func (f *Files) Verify(ctx context.Context, c model.Content) (err error) {
	file, err := f.Open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return Verify(ctx, file, c)
}

// Verify is Files.Verify for a content file that is open.
func Verify(ctx context.Context, file io.Reader, c model.Content) error {
	sum := pipeline.NewSum()
	size, err := io.Copy(sum, pipeline.WithContext(ctx, file))
	switch {
	case err != nil:
		return fmt.Errorf("content file %s: %w", c.Path, err)
	case size != c.Size:
		return fmt.Errorf("content file %s: %w: it has %d bytes instead of %d", c.Path, model.ErrCorrupt, size, c.Size)
	case sum.Digest() != c.Digest:
		return fmt.Errorf("content file %s: %w: it has digest %s instead of %s", c.Path, model.ErrCorrupt, sum.Digest(), c.Digest)
	}
	return nil
}

// Remove removes a content file, also one that was not finished. The directory
// of its object goes too if it is empty then. A file that does not exist is no
// error.
func (f *Files) Remove(name string) error {
	dir, base, err := split(name)
	if err != nil {
		return err
	}
	parent, err := f.root.PlainDir(dir)
	if err != nil {
		return ignoreMissing(fmt.Errorf("content file %s: %w", name, err))
	}
	defer func() { _ = parent.Close() }()
	for _, entry := range []string{tempName(base), base} {
		if err := ignoreMissing(parent.Remove(entry)); err != nil {
			return fmt.Errorf("content file %s: %w", name, err)
		}
	}
	return f.removeEmpty(dir)
}

// removeEmpty removes the directory of an object if there is nothing in it.
func (f *Files) removeEmpty(dir string) error {
	if !strings.Contains(dir, "/") {
		return nil // the area itself stays
	}
	area, err := f.root.PlainDir(path.Dir(dir))
	if err != nil {
		return ignoreMissing(fmt.Errorf("directory %s: %w", dir, err))
	}
	defer func() { _ = area.Close() }()
	err = area.Remove(path.Base(dir))
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return nil
	}
	return ignoreMissing(err)
}

// RemoveTree removes a directory with all that is in it, for instance that of
// UserDir. One that does not exist is no error.
func (f *Files) RemoveTree(ctx context.Context, name string) error {
	dir, base, err := split(name)
	if err != nil {
		return err
	}
	parent, err := f.root.PlainDir(dir)
	if err != nil {
		return ignoreMissing(fmt.Errorf("directory %s: %w", name, err))
	}
	defer func() { _ = parent.Close() }()
	if err := parent.RemoveTree(ctx, base); err != nil {
		return fmt.Errorf("directory %s: %w", name, err)
	}
	return f.removeEmpty(dir)
}

// Exists tells whether there is anything at a path.
func (f *Files) Exists(name string) (bool, error) {
	_, err := f.Stat(name)
	return err == nil, ignoreMissing(err)
}

// List returns the paths of everything in an area, sorted: content files,
// finished or not, and what else there is beside them. An object's directory
// that is empty counts as if it had one for whoever uses the store (UserDir),
// so that whoever collects garbage finds it too.
func (f *Files) List(ctx context.Context, area string) (paths []string, err error) {
	dir, err := f.root.PlainDir(area)
	if err != nil {
		return nil, ignoreMissing(fmt.Errorf("directory %s: %w", area, err))
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	names, err := dir.Names()
	for _, name := range names {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			break
		}
		var some []string
		some, err = listObject(dir, name)
		for _, name := range some {
			paths = append(paths, path.Join(area, name))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", area, err)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// listObject returns the paths of everything in the directory of an object, or
// of what has its place in an area. It may vanish meanwhile.
func listObject(area *beneath.Dir, name string) (paths []string, err error) {
	dir, err := area.Enter(name)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return []string{finalName(name)}, nil
	case err != nil:
		return nil, ignoreMissing(err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	entries, err := dir.Names()
	for _, entry := range entries {
		paths = append(paths, path.Join(name, finalName(entry)))
	}
	if err == nil && len(paths) == 0 {
		paths = []string{path.Join(name, UserDirName)}
	}
	return paths, err
}

// tempName returns the name that a file has until it is finished.
func tempName(base string) string { return fsutil.TempPrefix + base }

// finalName is the reverse of tempName; other names stay as they are.
func finalName(base string) string { return strings.TrimPrefix(base, fsutil.TempPrefix) }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
