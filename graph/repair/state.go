package repair

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// state is what there is under a name, as far as a repair changes it.
type state struct {
	Kind kind   `json:"kind"`
	Mode uint32 `json:"mode,omitempty"`
	UID  uint32 `json:"uid,omitempty"`
	GID  uint32 `json:"gid,omitempty"`
	// Content is that of a file, of which only small ones are changed, and nil
	// if it stays as it is. Target is that of a symbolic link.
	Content []byte `json:"content"`
	Target  string `json:"target,omitempty"`
}

type kind string

const (
	nothing   kind = "nothing"
	file      kind = "file"
	directory kind = "directory"
	symlink   kind = "symlink"
	other     kind = "other"
)

// maxContent is the size in bytes up to which the content of a file is noted.
const maxContent = 1 << 20

// tree is the graph root. Nothing outside of it is ever touched.
type tree struct{ root *beneath.Dir }

func openTree(path string) (*tree, error) {
	root, err := beneath.Open(path)
	return &tree{root}, err
}

func (t *tree) close() error { return t.root.Close() }

// in calls fn with the directory of a path and the name in it. No symbolic link
// on the way is followed, so a store in which somebody has put one is left as
// it is.
func (t *tree) in(name string, fn func(dir *beneath.Dir, base string) error) (err error) {
	if !fs.ValidPath(name) || name == "." || strings.Contains(name, "\x00") {
		return fmt.Errorf("%w: %q is no path in the store", model.ErrInvalid, name)
	}
	dir, err := t.root.PlainDir(path.Dir(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := fn(dir, path.Base(name)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// stateOf returns what there is. With content it has that of a file.
func stateOf(dir *beneath.Dir, base string, content bool) (s state, err error) {
	stat, err := dir.Stat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return state{Kind: nothing}, nil
	}
	if err != nil {
		return s, err
	}
	s = state{Kind: other, Mode: stat.Mode & 0o7777, UID: stat.Uid, GID: stat.Gid}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		s.Kind = file
		if content {
			s.Content, err = read(dir, base)
		}
	case unix.S_IFDIR:
		s.Kind = directory
	case unix.S_IFLNK:
		s.Kind, s.Mode = symlink, 0
		s.Target, err = dir.Readlink(base)
	}
	return s, err
}

// read returns the content of a small file.
func read(dir *beneath.Dir, base string) (_ []byte, err error) {
	f, err := dir.RegularEntry(base)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err := io.ReadAll(io.LimitReader(f, maxContent+1))
	if err == nil && len(content) > maxContent {
		err = fmt.Errorf("%w: it has more than %d bytes", model.ErrUnsupported, maxContent)
	}
	if content == nil {
		content = []byte{}
	}
	return content, err
}

// same tells whether a file is still as it was noted.
func (s *state) same(now *state) bool {
	return s.Kind == now.Kind && s.Mode == now.Mode && s.UID == now.UID && s.GID == now.GID && s.Target == now.Target &&
		(s.Content == nil || string(s.Content) == string(now.Content))
}

// establish makes what is under a name what the state says. What is there is of
// the same kind, or a file or link that may be replaced, or nothing. A new file
// or link is first made under the name temp.
func (s *state) establish(dir *beneath.Dir, base, temp string) error {
	switch s.Kind {
	case nothing:
		return dir.Remove(base)
	case directory:
		if err := dir.Mkdir(base); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case symlink:
		if err := replace(dir, base, temp, func() error { return dir.Symlink(s.Target, temp) }); err != nil {
			return err
		}
		return dir.Chown(base, int(s.UID), int(s.GID))
	case file:
		if s.Content != nil {
			if err := replace(dir, base, temp, func() error { return write(dir, temp, s.Content) }); err != nil {
				return err
			}
		}
	case other:
		return fmt.Errorf("%w: something that is no file, directory or symbolic link", model.ErrUnsupported)
	}
	// In this order: a change of the owner may take bits away.
	return errors.Join(dir.Chown(base, int(s.UID), int(s.GID)), dir.Chmod(base, s.Mode))
}

// replace makes something under the name temp, and then gives it the name that
// it is to have.
func replace(dir *beneath.Dir, base, temp string, create func() error) error {
	if err := removeTemp(dir, temp); err != nil {
		return err
	}
	if err := create(); err != nil {
		return err
	}
	if err := unix.Renameat(dir.Fd(), temp, dir.Fd(), base); err != nil {
		return errors.Join(&os.PathError{Op: "renameat", Path: base, Err: err}, dir.Remove(temp))
	}
	return nil
}

// removeTemp removes what somebody who died has left under the name temp, which
// is "" if there can be nothing.
func removeTemp(dir *beneath.Dir, temp string) error {
	if temp == "" {
		return nil
	}
	if !strings.HasPrefix(temp, fsutil.TempPrefix) || strings.Contains(temp, "/") {
		return fmt.Errorf("%w: %q is no name of a file that is not finished", model.ErrCorrupt, temp)
	}
	if err := dir.Remove(temp); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func write(dir *beneath.Dir, name string, content []byte) (err error) {
	f, err := dir.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
