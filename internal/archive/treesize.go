package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// TreeSize returns how many bytes the regular files below dir, a trusted path,
// have together. A file with several names counts once; directories and all
// other files count nothing.
func TreeSize(ctx context.Context, dir string) (size int64, err error) {
	root, err := beneath.Open(dir)
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if size, err = TreeSizeOf(ctx, root); err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return size, nil
}

// TreeSizeOf is TreeSize for a directory that is open. It leaves out the
// directories below it with the given paths.
func TreeSizeOf(ctx context.Context, root *beneath.Dir, except ...string) (size int64, err error) {
	counted := make(map[inode]bool)
	err = root.Walk(ctx, func(entry *beneath.Entry) error {
		if entry.IsDir() && slices.Contains(except, entry.Path()) {
			return fs.SkipDir
		}
		if entry.Stat.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil
		}
		if entry.Stat.Nlink > 1 {
			if counted[inodeOf(&entry.Stat)] {
				return nil
			}
			counted[inodeOf(&entry.Stat)] = true
		}
		size += entry.Stat.Size
		return nil
	})
	return size, err
}
