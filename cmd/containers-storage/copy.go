package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

type copyFiles struct {
	chown string
	owner *fileOwner // what chown says, or nil
	json  bool
}

// fileOwner is the owner of files as the target sees it.
type fileOwner struct{ uid, gid int }

func (p *program) copyCommand() *urfave.Command {
	o := &copyFiles{}
	return p.command(urfave.Command{
		Name:  "copy",
		Usage: "Copy files out of layers and into them", ArgsUsage: "[layerNameOrID:]source [...] [layerNameOrID:]target",
		Description: `
What is before the first colon is a layer; a path without one is the host's.
What a source directory contains is put into the target directory, which is
made if need be. Another file becomes the target, in place of any file but a
directory; if the target ends with a slash, it is put there under its own name.
Nothing in a layer leads out of it: symbolic links begin at its root.

Examples:

  containers-storage copy app:/etc/passwd passwd
  containers-storage copy --chown 1000:1000 ./site app:/srv/www
  containers-storage copy hosts resolv.conf app:/etc/`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "chown", Aliases: []string{"o"}, Usage: "owner of the copies as UID[:GID]", Destination: &o.chown},
			&urfave.BoolFlag{Name: "json", Aliases: []string{"j"}, Usage: "accepted, and without effect", Destination: &o.json},
		},
	}, arity{2, unlimited}, o)
}

// check reads the owner. A group that is not given is that of the user.
func (o *copyFiles) check() error {
	if o.chown == "" {
		return nil
	}
	user, group, both := strings.Cut(o.chown, ":")
	if !both {
		group = user
	}
	uid, errUser := strconv.ParseUint(user, 10, 32)
	gid, errGroup := strconv.ParseUint(group, 10, 32)
	// The greatest number means "do not change" to chown(2).
	if errUser != nil || errGroup != nil || max(uid, gid) == math.MaxUint32 {
		return fmt.Errorf("--chown: %w: %q is not UID[:GID]", model.ErrInvalid, o.chown)
	}
	o.owner = &fileOwner{uid: int(uid), gid: int(gid)}
	return nil
}

func (o *copyFiles) run(ctx context.Context, s *session, args []string) (err error) {
	last := len(args) - 1
	target, err := s.openCopyEnd(ctx, args[last])
	if err != nil {
		return copyError(args[last], err)
	}
	defer func() { err = errors.Join(err, copyError(args[last], target.close())) }()
	for _, arg := range args[:last] {
		if err := o.copyFrom(ctx, s, arg, target); err != nil {
			return copyError(arg, err)
		}
	}
	return nil
}

// copyError says about which argument an error is.
func copyError(arg string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("copy: %q: %w", arg, err)
}

// copyFrom copies one source.
func (o *copyFiles) copyFrom(ctx context.Context, s *session, arg string, target *copyEnd) (err error) {
	end, err := s.openCopyEnd(ctx, arg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end.close()) }()
	from, err := end.source()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.dir.Close()) }()
	to, err := target.target(from)
	if err != nil {
		return fmt.Errorf("to %q: %w", target.arg, err)
	}
	defer func() { err = errors.Join(err, to.dir.Close()) }()

	stream := pipeline.Start(ctx, func(ctx context.Context, w io.Writer) error {
		return from.pack(ctx, w, archive.PackOptions{UIDMap: end.uidMap, GIDMap: end.gidMap})
	})
	defer func() { err = errors.Join(err, stream.Close()) }()
	entries := newCopyEntries(stream, from, to, s.Now(), o.owner)
	_, err = archive.Unpack(ctx, procPath(to.dir), entries, archive.UnpackOptions{UIDMap: target.uidMap, GIDMap: target.gidMap})
	if err == nil && from.entry != "" && !entries.found {
		err = fmt.Errorf("%w: a socket, or gone", model.ErrUnsupported)
	}
	return err
}
