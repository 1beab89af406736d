package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// FileState tells whether a file has been written to, or replaced. The zero value
// stands for a file that does not exist.
type FileState struct {
	device, inode uint64
	size          int64
	modified      unix.Timespec
}

// StateOf returns the state of a file.
func StateOf(path string) (FileState, error) {
	var stat unix.Stat_t
	err := unix.Lstat(path, &stat)
	if errors.Is(err, fs.ErrNotExist) {
		return FileState{}, nil
	}
	if err != nil {
		return FileState{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return FileState{device: stat.Dev, inode: stat.Ino, size: stat.Size, modified: stat.Mtim}, nil
}

// KeepStill takes the lock of the store in the directory root, if it has one, so
// that nobody writes to its database until release is called. It waits for
// others, but not longer than wait unless that is 0.
func KeepStill(ctx context.Context, root string, wait time.Duration) (release func(), err error) {
	waiting, cancel := waitAtMost(ctx, wait)
	defer cancel()
	return keepStill(waiting, filepath.Join(root, FileName))
}

// Install puts a database that Rebuild has made in the place of the one in the
// directory root, which need not exist, while nobody uses that. What was there
// is kept under the name that it returns, which has the time now in it, or "" if
// there was nothing. There is a database at any moment. If what is there has another
// state than the given one, somebody has written to it, and the error matches
// model.ErrBusy.
func Install(ctx context.Context, wait time.Duration, root, rebuilt string, state FileState, now time.Time) (kept string, err error) {
	path := filepath.Join(root, FileName)
	defer func() {
		if err != nil {
			err = fmt.Errorf("installing %s: %w", path, err)
		}
	}()
	waiting, cancel := waitAtMost(ctx, wait)
	defer cancel()
	release, err := alone(waiting, path)
	if err != nil {
		return "", err
	}
	defer release()
	found, err := StateOf(path)
	if err != nil {
		return "", err
	}
	if found != state {
		return "", fmt.Errorf("%w: it has changed since it was read", model.ErrBusy)
	}
	if found != (FileState{}) {
		if kept, err = keptName(path, "damaged", now); err != nil {
			return "", err
		}
	}
	return kept, (&replacement{path: path, temp: rebuilt}).takeOver(ctx, kept)
}

// takeOver is swap for something in the place of the database that may be no
// file, and so can have one name only.
func (r *replacement) takeOver(ctx context.Context, keep string) error {
	info, err := os.Lstat(r.path)
	if err == nil && !info.Mode().IsRegular() {
		if err := os.Rename(r.path, keep); err != nil {
			return err
		}
		keep = ""
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.swap(ctx, keep)
}
