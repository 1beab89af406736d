package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/fsutil"
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
		return "", "", fmt.Errorf("content file %q: %w: not the path of a content file", name, model.ErrInvalid)
	}
	return path.Dir(name), path.Base(name), nil
}

// Open opens a content file for reading. If it is missing or has another size
// than it should, the error matches model.ErrCorrupt.
func (f *Files) Open(c model.Content) (*os.File, error) {
	file, size, err := f.open(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("content file %s: %w: %w", c.Path, model.ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
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
		return nil, 0, fmt.Errorf("content file %s: %w", name, err)
	}
	defer func() { _ = parent.Close() }()
	file, err := parent.RegularEntry(base)
	if err != nil {
		return nil, 0, fmt.Errorf("content file %s: %w", name, err)
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
	sum := digest.SHA256.Digester()
	if _, err := io.Copy(sum.Hash(), &contextReader{ctx, file}); err != nil {
		return fmt.Errorf("content file %s: %w", c.Path, err)
	}
	if sum.Digest() != c.Digest {
		return fmt.Errorf("content file %s: %w: it has digest %s instead of %s", c.Path, model.ErrCorrupt, sum.Digest(), c.Digest)
	}
	return nil
}

// contextReader ends a long read when a context ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // It lives as long as one call.
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
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
	dir, base, err := split(name)
	if err != nil {
		return false, err
	}
	parent, err := f.root.PlainDir(dir)
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer func() { _ = parent.Close() }()
	if _, err := parent.Stat(base); err != nil {
		return false, ignoreMissing(err)
	}
	return true, nil
}

// List returns the paths of everything in an area: content files, finished or
// not, and the directories UserDirName of objects, sorted.
func (f *Files) List(ctx context.Context, area string) ([]string, error) {
	dir, err := f.root.PlainDir(area)
	if err != nil {
		return nil, ignoreMissing(fmt.Errorf("directory %s: %w", area, err))
	}
	defer func() { _ = dir.Close() }()
	var paths []string
	err = dir.Walk(ctx, func(e *beneath.Entry) error {
		name := path.Join(area, e.Path())
		switch {
		case !e.IsDir() || e.Name == UserDirName:
			paths = append(paths, path.Join(path.Dir(name), finalName(e.Name)))
		case strings.Count(name, "/") == 1:
			return nil // the directory of an object
		default:
			paths = append(paths, name)
		}
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", area, err)
	}
	return paths, nil
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
