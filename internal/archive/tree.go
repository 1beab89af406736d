package archive

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// Tree opens the files of a layer by their names in its archive. Neither those
// names nor the layer are trusted: nothing outside the directories is ever
// opened, and nothing that is not a regular file. A Tree may be used by
// several goroutines at once.
type Tree struct{ roots []*beneath.Dir }

// OpenTree opens directories, which are trusted paths, as a tree in which the
// first directory that has a file counts.
func OpenTree(dirs ...string) (*Tree, error) {
	t := &Tree{}
	for _, dir := range dirs {
		root, err := beneath.Open(dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open tree: %w", err), t.Close())
		}
		t.roots = append(t.roots, root)
	}
	return t, nil
}

// Open opens a regular file for reading. Symbolic links on the way to it are
// followed within its directory; the last component is not followed. The error
// matches model.ErrNotFound if no directory has the file, and model.ErrInvalid
// if it is not a regular file or the name is none.
func (t *Tree) Open(name string) (*os.File, error) {
	clean, err := cleanName(name)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", shortName(name), err)
	}
	for _, root := range t.roots {
		file, err := root.Regular(clean)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", shortName(name), invalid(err))
		}
		return file, nil
	}
	return nil, fmt.Errorf("open %q: %w: %w", shortName(name), model.ErrNotFound, unix.ENOENT)
}

// Close closes the directories. Files that are open stay open.
func (t *Tree) Close() error { return closeAll(t.roots) }
