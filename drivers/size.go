package drivers

import (
	"context"
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// changedSize returns how many bytes of content the regular files among the
// changes have in dir, counting a file with several names once.
func changedSize(ctx context.Context, dir string, changes []model.Change) (size int64, err error) {
	tree, err := beneath.Open(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	// Changes are sorted, so the directory is mostly that of the last file.
	places := beneath.NewPlaces(tree, nil)
	defer func() { err = errors.Join(err, places.Close()) }()
	type inode struct{ dev, ino uint64 }
	counted := make(map[inode]bool)
	for _, change := range changes {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if change.Kind == model.ChangeDelete {
			continue
		}
		parent, entry := path.Split(change.Path)
		place, err := places.Find(strings.Trim(parent, "/"))
		if err != nil {
			return 0, err
		}
		stat, err := place.Stat(entry)
		if err != nil {
			return 0, err
		}
		file := inode{stat.Dev, stat.Ino}
		if stat.Mode&unix.S_IFMT == unix.S_IFREG && !counted[file] {
			counted[file] = stat.Nlink > 1
			size += stat.Size
		}
	}
	return size, nil
}
