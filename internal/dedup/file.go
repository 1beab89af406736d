package dedup

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// file is a file that may share its content with another one.
type file struct {
	tree  *tree
	dir   string // beneath the tree; files of one directory have one string
	name  string
	inode inode
	size  int64
	// refused says that the kernel has refused to compare the file with another.
	refused bool
}

// inode tells files apart that exist at the same time.
type inode struct{ dev, ino uint64 }

func inodeOf(stat *unix.Stat_t) inode { return inode{dev: stat.Dev, ino: stat.Ino} }

// path returns the path of the file for messages.
func (f *file) path() string {
	if f.dir == "" {
		return f.tree.name + ": " + f.name
	}
	return f.tree.name + ": " + f.dir + "/" + f.name
}

// errChanged means that a name does not lead to the file any more that it led
// to when the tree was walked.
var errChanged = errors.New("has changed meanwhile")

// open opens the file, if it still is what was seen.
func (f *file) open() (_ *os.File, err error) {
	dir, err := f.tree.dir.PlainDir(f.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	opened, err := dir.RegularEntry(f.name)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	err = beneath.Retry(func() error { return unix.Fstat(int(opened.Fd()), &stat) })
	if err == nil && (inodeOf(&stat) != f.inode || stat.Size != f.size) {
		err = fmt.Errorf("%s: %w", f.path(), errChanged)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}
