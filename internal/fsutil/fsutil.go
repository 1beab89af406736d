// Package fsutil has the few steps that make files durable: written, synced
// and then given their names, so that after a power cut a file is there whole
// or not at all.
package fsutil

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// TempPrefix begins the names of files that are not finished. The rest of the
// name is random.
const TempPrefix = ".tmp-"

// TempName returns a random name for a file that is not finished.
func TempName() string { return TempPrefix + rand.Text() }

// WriteFile makes the file path with the given content durably. A file that
// exists is replaced in one step.
func WriteFile(path string, content []byte, mode os.FileMode) (err error) {
	temp := filepath.Join(filepath.Dir(path), TempName())
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, mode)
	if err != nil {
		return err
	}
	_, errWrite := f.Write(content)
	if err := errors.Join(errWrite, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// MakeDirs makes a directory and its missing parents, durably, with the given
// mode whatever the umask says. Others may remove the parents as long as they are
// empty.
func MakeDirs(path string, mode os.FileMode) (err error) {
	for range maxRaces {
		if err = makeDirs(path, mode); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

// maxRaces bounds how often that may happen: not by chance any more.
const maxRaces = 1000

func makeDirs(path string, mode os.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		return mustBeDir(path, info)
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDirs(parent, mode); err != nil {
			return err
		}
	}
	err := os.Mkdir(path, mode)
	if errors.Is(err, os.ErrExist) {
		// Somebody else was faster, and may not have come to the sync yet.
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return errors.Join(mustBeDir(path, info), SyncDir(parent))
	}
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(path, mode), SyncDir(parent))
}

func mustBeDir(path string, info os.FileInfo) error {
	if !info.IsDir() {
		return &os.PathError{Op: "mkdir", Path: path, Err: unix.ENOTDIR}
	}
	return nil
}

// Syncer makes everything in a file system durable (syncfs(2)). It waits for
// what other programs wrote there too, but for many files it is far cheaper than
// syncing each.
//
// It must be opened before the first of what matters is written. The kernel
// tells of a write that has failed in the background whoever had the file system
// open before, and otherwise only the first one who asks
// (Documentation/core-api/errseq.rst of the kernel): that may be somebody else.
type Syncer struct{ dir *os.File }

// OpenSyncer returns a syncer of the file system that path lies in. It must be
// closed.
func OpenSyncer(path string) (*Syncer, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &Syncer{dir: dir}, nil
}

// Sync makes everything durable, or returns what has gone wrong with it since
// the syncer was opened.
func (s *Syncer) Sync() error {
	if err := unix.Syncfs(int(s.dir.Fd())); err != nil {
		return fmt.Errorf("syncfs %s: %w", s.dir.Name(), err)
	}
	return nil
}

// SameFS tells whether two syncers are of the same file system.
func (s *Syncer) SameFS(other *Syncer) (bool, error) {
	var one, two unix.Stat_t
	err := errors.Join(unix.Fstat(int(s.dir.Fd()), &one), unix.Fstat(int(other.dir.Fd()), &two))
	return one.Dev == two.Dev, err
}

// Close ends the use of the syncer.
func (s *Syncer) Close() { _ = s.dir.Close() }
