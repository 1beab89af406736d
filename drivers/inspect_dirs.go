package drivers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// Inspect opens the directory that a layer should have, or tells what is wrong
// with it. The caller closes what it returns.
func (l *LayerDirs) Inspect(name string) (*at.Dir, *Fault, error) {
	fault := &Fault{Code: FaultMissing, Path: name, Expected: "a directory"}
	if !isLayer(name) {
		fault.Code, fault.Found = FaultNoDir, "a name that no layer can have"
		return nil, fault, nil
	}
	stat, err := l.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fault.Found = "nothing"
		if there, err := l.IsDir(partPrefix + name); err != nil {
			return nil, nil, err
		} else if there {
			fault.Found = fmt.Sprintf("only %s%s, which is not whole", partPrefix, name)
		}
		return nil, fault, nil
	case err != nil:
		return nil, nil, err
	case stat.Mode&unix.S_IFMT != unix.S_IFDIR:
		fault.Code, fault.Found = FaultNoDir, KindOfFile(stat.Mode)
		return nil, fault, nil
	}
	dir, err := l.Sub(name)
	return dir, nil, err
}

// Leftovers calls found for each entry that is not the directory of a layer for
// which belongs returns true, and has no name for which known does. Paths begin
// with prefix.
func (l *LayerDirs) Leftovers(ctx context.Context, prefix string, known func(name string) bool,
	belongs func(dir string) (bool, error), found func(Leftover) error,
) error {
	entries, err := l.Entries()
	if err != nil {
		return fmt.Errorf("listing layers: %w", err)
	}
	for _, entry := range entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		name := entry.Name()
		if known(name) {
			continue
		}
		left := Leftover{Path: prefix + name}
		if dir := strings.TrimPrefix(name, partPrefix); entry.IsDir() && isLayer(dir) {
			left.Dir = dir
			if ok, err := belongs(dir); err != nil {
				return err
			} else if ok {
				continue
			}
		}
		stat, err := l.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has gone meanwhile
		}
		if err != nil {
			return err
		}
		left.What = KindOfFile(stat.Mode)
		if err := found(left); err != nil {
			return err
		}
	}
	return nil
}

func isLayer(name string) bool { return CheckLayer(name) == nil }

// KindOfFile describes the kind of a file from its st_mode (inode(7)).
func KindOfFile(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a named pipe"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}
