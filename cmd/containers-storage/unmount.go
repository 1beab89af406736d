package main

import (
	"context"
	"errors"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

type unmount struct{ force, json bool }

func (p *program) unmountCommand() *urfave.Command {
	o := &unmount{}
	return p.command(urfave.Command{
		Name: "unmount", Aliases: []string{"umount"},
		Usage: "Unmount containers, layers or images", ArgsUsage: "containerLayerOrImageNameOrIDOrMountPoint [...]",
		Description: `
What has been mounted several times stays mounted until it has been unmounted
as often. A line is printed for each container and layer that is not mounted
any longer.

Examples:

  containers-storage unmount web
  containers-storage unmount --force web`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "undo all mounts at once", Destination: &o.force},
			jsonFlag(&o.json),
		},
	}, arity{1, unlimited}, o)
}

func (o *unmount) run(ctx context.Context, s *session, args []string) error {
	return s.eachMount(args, o.json, "while unmounting %s", func(ref string) error {
		still, err := s.store.Unmount(ctx, ref, o.force)
		if errors.Is(err, model.ErrLayerUnknown) {
			return o.unmountImage(ctx, s, ref, err)
		}
		// What was not mounted is as it should be.
		if err != nil && !errors.Is(err, model.ErrLayerNotMounted) {
			return err
		}
		if !still {
			fmt.Fprintf(s.Stdout, "%s mountpoint unmounted\n", ref)
		}
		return nil
	})
}

// unmountImage unmounts an image. If there is none, the error is the given one.
func (o *unmount) unmountImage(ctx context.Context, s *session, ref string, unknown error) error {
	_, err := s.store.UnmountImage(ctx, ref, o.force)
	switch {
	case errors.Is(err, model.ErrLayerNotMounted):
		return nil
	case errors.Is(err, model.ErrImageUnknown):
		return unknown
	}
	return err
}

// refResult is what became of one argument.
type refResult struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// eachMount calls fn for each argument and reports what became of it. doing
// follows the text of an error and says when it happened.
func (s *session) eachMount(args []string, asJSON bool, doing string, fn func(ref string) error) error {
	var results []refResult
	var failed error
	for _, ref := range args {
		err := fn(ref)
		results = append(results, refResult{ID: ref, Error: reason(ref, err)})
		if err == nil {
			continue
		}
		failed = errReported
		if !asJSON {
			fmt.Fprintf(s.Stderr, "%s "+doing+"\n", reason(ref, err), ref)
		}
	}
	if asJSON {
		if err := cli.WriteJSON(s.Stdout, results); err != nil {
			return err
		}
	}
	return failed
}

// reason returns the text of an error in one line that says itself which
// argument it is about, or "" if there is no error.
func reason(ref string, err error) string {
	if err == nil {
		return ""
	}
	about, isAbout := errors.AsType[*model.ObjectError](err)
	if isAbout && about.ID == ref && about.Error() == err.Error() {
		err = about.Err
	}
	return oneLine(err)
}
