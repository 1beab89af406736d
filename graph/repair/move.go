package repair

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// move renames a file or a tree, and makes the directories that its new path
// needs. There must be nothing at the new path.
func (t *tree) move(from, to string) error {
	if err := t.root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	return t.in(from, func(source *beneath.Dir, name string) error {
		return t.in(to, func(target *beneath.Dir, newName string) error {
			err := unix.Renameat2(source.Fd(), name, target.Fd(), newName, unix.RENAME_NOREPLACE)
			if err == unix.EXDEV { //nolint:errorlint // It is what the system call returned.
				err = fmt.Errorf("%w: it is on another file system than the graph root: %w", model.ErrUnsupported, err)
			}
			if err != nil {
				return &os.PathError{Op: "renameat2", Path: name, Err: err}
			}
			return nil
		})
	})
}
