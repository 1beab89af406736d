package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/model"
)

// action is what a command does. Its fields are the command's flags.
type action interface {
	run(ctx context.Context, s *session, args []string) error
}

// checker is implemented by actions whose flags can be wrong in themselves.
// What check finds is reported before the store is opened.
type checker interface {
	check() error
}

// session is what a command works with.
type session struct {
	cli.Env

	store  *graph.Store
	config *config.Config
	log    *logrus.Logger
}

// arity is how many arguments a command takes.
type arity struct{ min, max int }

// unlimited is the greatest number of arguments of commands that take any
// number of them.
const unlimited = -1

// commands returns all commands in the order in which the usage lists them.
func (p *program) commands() []*urfave.Command {
	return slices.Concat(
		p.layerCommands(),
		p.imageCommands(),
		p.containerCommands(),
		p.nameCommands(),
		p.mountCommands(),
		p.diffCommands(),
		p.deleteCommands(),
		p.storeCommands(),
	)
}

// command completes the description of a command with what it does.
func (p *program) command(c urfave.Command, takes arity, a action) *urfave.Command {
	c.HideHelp = true
	c.OnUsageError = func(_ *urfave.Context, err error, _ bool) error { return err }
	c.Action = func(u *urfave.Context) error {
		args := u.Args().Slice()
		if problem := takes.problem(args); problem != "" {
			fmt.Fprintf(p.env.Stdout, "%s: %s.\n", p.typed, problem)
			p.printCommandUsage(&c)
			return errReported
		}
		if a, ok := a.(checker); ok {
			if err := a.check(); err != nil {
				return err
			}
		}
		p.settings.flagged = u.IsSet
		return p.perform(u.Context, a, args)
	}
	return &c
}

// problem tells what is wrong about the number of arguments, if anything is.
func (a arity) problem(args []string) string {
	switch {
	case len(args) < a.min:
		return "more arguments required"
	case a.max != unlimited && len(args) > a.max:
		return fmt.Sprintf("too many arguments (%v)", args)
	}
	return ""
}

// perform opens the store and does what the command is for.
func (p *program) perform(ctx context.Context, a action, args []string) error {
	log := p.settings.logger(p.env.Stderr)
	if p.wantsNamespace(a) {
		err := p.runInNamespace(ctx, log)
		if !errors.Is(err, model.ErrUnsupported) || p.needsNamespace(a) {
			return err
		}
		p.settings.loud(log).Warn(oneLine(err))
	}
	store, err := p.settings.open(ctx, log)
	if err != nil {
		return err
	}
	err = withCause(ctx, a.run(ctx, &session{Env: p.env, store: store, config: p.settings.config, log: log}, args))
	switch errClose := store.Close(); {
	case errClose == nil:
		return err
	case errors.Is(err, errReported): // but this is not
		return errClose
	default:
		return errors.Join(err, errClose)
	}
}

// withCause returns an error with what ended the context, if that is the reason
// for it and it does not say so itself.
func withCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(err, ctx.Err()) && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// jsonFlag returns the flag that asks for output in JSON.
func jsonFlag(destination *bool) urfave.Flag {
	return &urfave.BoolFlag{Name: "json", Aliases: []string{"j"}, Usage: "print JSON", Destination: destination}
}
