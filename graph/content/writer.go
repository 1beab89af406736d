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

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

// Writer writes a content file. Until Commit the file has a temporary name.
// The caller sees to it that nobody else writes to the same path.
type Writer struct {
	path string
	root *beneath.Dir
	dirs []*beneath.Dir // from the root's child to the file's directory
	made bool           // one of them is new
	file *os.File
	sum  *pipeline.Sum
}

// Create begins the content file with the given path. What an earlier writer
// left there unfinished is replaced.
func (f *Files) Create(name string) (*Writer, error) {
	dir, base, err := split(name)
	if err != nil {
		return nil, err
	}
	// Somebody who removes the last file of an object may take the directory
	// away before the new file is in it.
	for range maxRaces {
		w := &Writer{path: name, root: f.root, sum: pipeline.NewSum()}
		if err = w.begin(dir, base); err == nil {
			return w, nil
		}
		w.closeDirs()
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, fmt.Errorf("content file %s: %w", name, err)
}

// maxRaces bounds how often that may happen: not by chance any more.
const maxRaces = 1000

// begin opens or makes the directory and makes the file.
func (w *Writer) begin(dir, base string) error {
	at := w.root
	for part := range strings.SplitSeq(dir, "/") {
		next, made, err := enter(at, part)
		if err != nil {
			return err
		}
		w.dirs, w.made = append(w.dirs, next), w.made || made
		at = next
	}
	if err := ignoreMissing(at.Remove(tempName(base))); err != nil {
		return err
	}
	file, err := at.Create(tempName(base))
	if err != nil {
		return err
	}
	w.file = file
	return file.Chmod(0o600)
}

// enter opens a directory, and makes it if need be.
func enter(in *beneath.Dir, name string) (dir *beneath.Dir, made bool, err error) {
	err = in.Mkdir(name)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, err
	}
	made = err == nil
	if made {
		if err := in.Chmod(name, 0o700); err != nil {
			return nil, false, err
		}
	}
	dir, err = in.Enter(name)
	return dir, made, err
}

// Write appends to the file.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	_, _ = w.sum.Write(p[:n]) // which cannot fail
	return n, err
}

// Fill appends what r gives until its end.
func (w *Writer) Fill(ctx context.Context, r io.Reader) error {
	if _, err := io.CopyBuffer(w, pipeline.WithContext(ctx, r), make([]byte, copyBuffer)); err != nil {
		return fmt.Errorf("content file %s: %w", w.path, err)
	}
	return nil
}

// copyBuffer is the size of the buffer through which files are written.
const copyBuffer = 128 << 10

// Content describes what has been written so far.
func (w *Writer) Content() model.Content {
	return model.Content{Path: w.path, Digest: w.sum.Digest(), Size: w.sum.Size()}
}

// Commit makes the file durable, gives it its name, and makes that durable too.
// After an error the file may have its name or not.
func (w *Writer) Commit() (model.Content, error) {
	err := w.file.Sync()
	crashpoint.Hit(crashpoint.DataTemp)
	if err == nil {
		err = w.rename()
	}
	crashpoint.Hit(crashpoint.DataNamed)
	if err == nil {
		err = w.syncDirs()
	}
	return w.finish(err)
}

// CommitUnsynced gives the file its name. The caller syncs the file system.
func (w *Writer) CommitUnsynced() (model.Content, error) { return w.finish(w.rename()) }

func (w *Writer) rename() error {
	base, fd := path.Base(w.path), w.dirs[len(w.dirs)-1].Fd()
	return unix.Renameat(fd, tempName(base), fd, base)
}

// syncDirs makes the name of the file durable, and that of its directory if it
// is new.
func (w *Writer) syncDirs() error {
	err := unix.Fsync(w.dirs[len(w.dirs)-1].Fd())
	if w.made {
		for _, dir := range append(w.dirs[:len(w.dirs)-1:len(w.dirs)-1], w.root) {
			err = errors.Join(err, unix.Fsync(dir.Fd()))
		}
	}
	return err
}

// finish closes what is open.
func (w *Writer) finish(err error) (model.Content, error) {
	err = errors.Join(err, w.file.Close())
	w.closeDirs()
	if err != nil {
		return model.Content{}, fmt.Errorf("content file %s: %w", w.path, err)
	}
	return w.Content(), nil
}

// Abort gives up the file and removes it.
func (w *Writer) Abort() error {
	err := w.dirs[len(w.dirs)-1].Remove(tempName(path.Base(w.path)))
	_, errClose := w.finish(nil)
	return errors.Join(ignoreMissing(err), errClose)
}

func (w *Writer) closeDirs() {
	for _, dir := range w.dirs {
		_ = dir.Close()
	}
	w.dirs = nil
}
