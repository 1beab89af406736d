package beneath

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// MkdirAll makes the directory called name beneath d and the parents that are
// missing. Directories that it makes get exactly the given permissions,
// whatever the umask; others stay as they are. Symbolic links on the way, also
// dangling ones, are followed within d.
func (d *Dir) MkdirAll(name string, mode uint32) (err error) {
	places := NewPlaces(d, func(parent Place, name string) (*Dir, error) {
		return parent.mkdirMode(name, mode)
	})
	defer func() { err = errors.Join(err, places.Close()) }()
	_, err = places.Find(name)
	return err
}

// MkdirAll is Dir.MkdirAll for a directory that is open as an *os.File.
func MkdirAll(dir *os.File, name string, mode uint32) error {
	defer runtime.KeepAlive(dir)
	return borrow(dir).MkdirAll(name, mode)
}

// mkdirMode makes and opens a directory. One that somebody else makes at the
// same time is as good.
func (d *Dir) mkdirMode(name string, mode uint32) (*Dir, error) {
	switch err := d.Mkdir(name); {
	case errors.Is(err, unix.EEXIST):
		return d.Enter(name)
	case err != nil:
		return nil, err
	}
	made, err := d.Enter(name)
	if err != nil {
		return nil, err
	}
	if err := Retry(func() error { return unix.Fchmod(made.fd, mode) }); err != nil {
		return nil, errors.Join(pathError("fchmod", name, err), made.Close())
	}
	return made, nil
}
