package main

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

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// copyEnd is where files are copied from or to: a path in a tree that nothing
// leads out of, which is a mounted layer or that of the host.
type copyEnd struct {
	arg            string
	root           *beneath.Dir
	name           string // the path, as it was given
	uidMap, gidMap []model.IDMap
	unmount        func() error
}

// openCopyEnd opens the tree that an argument means, and mounts it if it is a
// layer.
func (s *session) openCopyEnd(ctx context.Context, arg string) (*copyEnd, error) {
	ref, name, inLayer := strings.Cut(arg, ":")
	if !inLayer {
		return openHostEnd(arg)
	}
	l, err := s.store.Layer(ctx, ref)
	if err != nil {
		return nil, err
	}
	dir, err := s.store.MountLayer(ctx, l.ID, graph.MountOptions{})
	if err != nil {
		return nil, err
	}
	e := &copyEnd{arg: arg, name: name, uidMap: l.UIDMap, gidMap: l.GIDMap, unmount: func() error {
		// Also if the command has been interrupted.
		_, err := s.store.UnmountLayer(context.WithoutCancel(ctx), l.ID, false)
		return err
	}}
	if e.root, err = beneath.Open(dir); err != nil {
		return nil, errors.Join(err, e.unmount())
	}
	return e, nil
}

func openHostEnd(name string) (*copyEnd, error) {
	e := &copyEnd{arg: name, name: name, unmount: func() error { return nil }}
	if name == "" {
		return nil, fmt.Errorf("%w: empty path", model.ErrInvalid)
	}
	if !path.IsAbs(name) {
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		e.name = dir + "/" + name // not cleaned: what is before ".." may be a link
	}
	root, err := beneath.Open("/")
	e.root = root
	return e, err
}

func (e *copyEnd) close() error { return errors.Join(e.root.Close(), e.unmount()) }

// copySource is what is copied: what is in dir, or only its entry.
type copySource struct {
	dir   *beneath.Dir
	entry string
	stat  unix.Stat_t // of the entry
	base  string      // the name under which it was given
}

// source opens what is at the path, to which links may lead.
func (e *copyEnd) source() (*copySource, error) {
	name, err := e.root.Resolve(e.name)
	if err != nil {
		return nil, err
	}
	dir, err := e.root.PlainDir(name)
	if err == nil {
		return &copySource{dir: dir}, nil
	}
	if !errors.Is(err, unix.ENOTDIR) {
		return nil, bare(err)
	}
	above, entry := path.Split(name)
	if dir, err = e.root.PlainDir(above); err != nil {
		return nil, err
	}
	stat, err := dir.Stat(entry)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &copySource{dir: dir, entry: entry, stat: stat, base: path.Base(e.name)}, nil
}

// pack writes an archive of what is copied.
func (c *copySource) pack(ctx context.Context, w io.Writer, options archive.PackOptions) error {
	if c.entry == "" {
		return archive.Pack(ctx, w, procPath(c.dir), options)
	}
	only := []model.Change{{Path: "/" + c.entry, Kind: model.ChangeAdd}}
	return archive.PackChanges(ctx, w, procPath(c.dir), only, options)
}

// copyTarget is where the copies go.
type copyTarget struct {
	dir     *beneath.Dir // exists
	missing string       // the directories below it that do not exist yet, or ""
	entry   string       // the name of the only copy, or "" if it is a tree
}

// target opens where the source is to go.
func (e *copyEnd) target(from *copySource) (*copyTarget, error) {
	name, entry := e.name, ""
	if from.entry != "" {
		if name, entry = path.Split(e.name); entry == "" {
			entry = from.base
		}
	}
	to, err := e.existing(name)
	if err != nil {
		return nil, err
	}
	to.entry = entry
	if err := to.check(from); err != nil {
		return nil, errors.Join(err, to.dir.Close())
	}
	return to, nil
}

// existing opens the last directory on the way to name that exists.
func (e *copyEnd) existing(name string) (*copyTarget, error) {
	name, err := e.root.Resolve(name)
	missing := ""
	for err == nil {
		var dir *beneath.Dir
		if dir, err = e.root.PlainDir(name); err == nil {
			return &copyTarget{dir: dir, missing: missing}, nil
		}
		if !errors.Is(err, unix.ENOENT) || name == "" {
			break
		}
		missing = path.Join(path.Base(name), missing)
		name, err = strings.TrimPrefix(path.Dir(name), "."), nil
	}
	return nil, bare(err)
}

// bare returns what is wrong with a path: the argument that it is from says more
// than what is left of it when it is resolved.
func bare(err error) error {
	if about, isAbout := errors.AsType[*fs.PathError](err); isAbout {
		return about.Err
	}
	return err
}

// check reports copies that would destroy or never end.
func (c *copyTarget) check(from *copySource) error {
	if from.entry == "" {
		return c.checkOutside(from.dir)
	}
	if c.entry == "." || c.entry == ".." {
		return unix.EISDIR
	}
	if c.missing != "" {
		return nil
	}
	stat, err := c.dir.Stat(c.entry)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
		return unix.EISDIR
	case stat.Dev == from.stat.Dev && stat.Ino == from.stat.Ino:
		return fmt.Errorf("%w: the source itself", model.ErrInvalid)
	}
	return nil
}

// checkOutside refuses to copy a directory into itself.
func (c *copyTarget) checkOutside(from *beneath.Dir) error {
	source, err := os.Readlink(procPath(from))
	if err != nil {
		return err
	}
	target, err := os.Readlink(procPath(c.dir))
	if err != nil {
		return err
	}
	if strings.HasPrefix(target+"/", strings.TrimSuffix(source, "/")+"/") {
		return fmt.Errorf("%w: in the source itself", model.ErrInvalid)
	}
	return nil
}

// procPath is a path to an open directory, for what takes a path.
func procPath(dir *beneath.Dir) string { return fmt.Sprintf("/proc/self/fd/%d", dir.Fd()) }
