package content

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
)

// Size returns the size in bytes of a content file, finished or not, or of all
// files in a directory. What does not exist has none.
func (f *Files) Size(ctx context.Context, name string) (total int64, err error) {
	dir, base, err := split(name)
	if err != nil {
		return 0, err
	}
	for _, at := range []string{name, path.Join(dir, tempName(base))} {
		size, err := f.sizeOf(ctx, at)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("content %s: %w", at, err)
		}
		total += size
	}
	return total, nil
}

func (f *Files) sizeOf(ctx context.Context, name string) (size int64, err error) {
	stat, err := f.Stat(name)
	if err != nil {
		return 0, err
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return stat.Size, nil
	case unix.S_IFDIR:
		tree, err := f.root.PlainDir(name)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, tree.Close()) }()
		return archive.TreeSizeOf(ctx, tree)
	}
	return 0, nil
}
