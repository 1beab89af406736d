package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/internal/fsutil"
)

// WriteOutput lets write make the content of the file at path, or write to the
// standard output if path is empty. The file gets its name when all of it has
// been written and is durable: what has the name is never a part. A file that
// exists is replaced and keeps its mode; what is not a file, a pipe for
// instance, is written to.
func (e Env) WriteOutput(path string, write func(io.Writer) error) error {
	if path == "" {
		return write(e.Stdout)
	}
	mode := fs.FileMode(0o666) // before the umask, like any program's output
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return writeTo(path, os.O_WRONLY, mode, write)
	default:
		mode = info.Mode().Perm()
		// The file that a symbolic link leads to is replaced, not the link.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	temp := filepath.Join(filepath.Dir(path), fsutil.TempName())
	err := writeTo(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode, write)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(inPlaceOf(temp, path, err), ignoreMissing(os.Remove(temp)))
	}
	return fsutil.SyncDir(filepath.Dir(path))
}

// inPlaceOf returns an error about a temporary file as one about the file that
// it was to become.
func inPlaceOf(temp, path string, err error) error {
	var about *fs.PathError
	if errors.As(err, &about) && about.Path == temp {
		return &fs.PathError{Op: about.Op, Path: path, Err: about.Err}
	}
	return err
}

// writeTo opens a file, lets write fill it, and makes it durable.
func writeTo(path string, flags int, mode fs.FileMode, write func(io.Writer) error) (err error) {
	file, err := os.OpenFile(path, flags, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := write(file); err != nil || flags&os.O_CREATE == 0 {
		return err
	}
	return file.Sync()
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
