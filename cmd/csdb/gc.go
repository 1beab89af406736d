package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type gc struct {
	dryRun    bool
	unusedFor time.Duration
	keepLast  int
	keep      urfave.StringSlice
}

// recently is how long what has been used is kept if only the number of images
// is limited: programs that are at work with it just now may need it again.
const recently = 24 * time.Hour

func (p *program) gcCommand() *urfave.Command {
	o := &gc{}
	return p.command(urfave.Command{
		Name: "gc", Usage: "remove what nobody needs",
		Description: `
Removes what has no record: the contents of deleted objects that could not be
removed at once, and what programs left behind that died. No image and no
layer is deleted, whether or not it is used, unless one of the following flags
says so. What living programs are at work on stays.

With --unused-for, images that no container was made from are deleted, with
the layers that only they need, and so are layers that no image and no
container needs and that have no name, if they have not been used for so long:
created, changed, or released by a container that was deleted. That is learned
from the journal. What is older than the journal reaches counts as used when
it begins, so the time may be longer than it is given, never shorter.

With --keep-last, only so many images remain besides those that are in use;
without --unused-for, none is deleted that was used in the last 24 hours. Names
given with --keep are spared; they may be patterns (path.Match of Go, in which
* does not match a slash). What is mounted is spared too, and so is what is leased
("csdb lease"); the output says which leases have saved something. Leases that
have expired are removed.

Examples:

  csdb gc --dry-run
  csdb gc
  csdb gc --unused-for 720h --keep docker.io/library/base:1 --keep 'registry.example/*:stable'
  csdb gc --keep-last 20 --dry-run --json | jq '.images[].names'`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show what would be removed, and change nothing", DisableDefaultText: true, Destination: &o.dryRun},
			&urfave.DurationFlag{Name: "unused-for", Usage: "delete images and layers that have not been used for this `DURATION`", DefaultText: "none", Destination: &o.unusedFor},
			&urfave.IntFlag{Name: "keep-last", Usage: "delete unused images, but the `N` that came last", DefaultText: "all", Destination: &o.keepLast},
			&urfave.StringSliceFlag{Name: "keep", Usage: "keep images with this `NAME`, ID or pattern; may be repeated", Destination: &o.keep},
		},
	}, arity{0, 0}, o)
}

func (o *gc) run(ctx context.Context, s *session, _ []string) error {
	steps := &steps{Env: s.Env}
	options := graph.GCOptions{DryRun: o.dryRun, Now: s.Now, Progress: steps.start}
	policy, err := o.policy(s.flagged)
	if err != nil {
		return &usageError{command: "gc", err: err}
	}
	options.Unused = policy
	var c *graph.Collected
	errCollect := s.store(ctx, func(store *graph.Store) (err error) {
		defer steps.end()
		c, err = store.Collect(ctx, options)
		return err
	})
	if c == nil {
		return errCollect
	}
	if s.json {
		err = s.writeJSON(c)
	} else {
		s.writeCollected(c, o.dryRun)
	}
	return errors.Join(errCollect, err)
}

// policy returns what the flags say about images and layers; nil means that
// they stay.
func (o *gc) policy(given func(string) bool) (*graph.UnusedPolicy, error) {
	policy := &graph.UnusedPolicy{For: o.unusedFor, KeepLast: o.keepLast, Keep: o.keep.Value()}
	switch {
	case o.unusedFor < 0:
		return nil, fmt.Errorf("--unused-for %v: not a duration that has passed", o.unusedFor)
	case o.keepLast < 0:
		return nil, fmt.Errorf("--keep-last %d: not a number of images", o.keepLast)
	case given("unused-for"):
		return policy, nil
	case given("keep-last"):
		policy.For = recently
		return policy, nil
	case len(policy.Keep) > 0:
		return nil, errors.New("--keep says nothing without --unused-for or --keep-last")
	}
	return nil, nil //nolint:nilnil // The comment says what nil means.
}

func (s *session) writeCollected(c *graph.Collected, dryRun bool) {
	done, freed := "removed", "freed"
	if dryRun {
		done, freed = "would remove", "would free"
	}
	for _, list := range [][]graph.CollectedObject{c.Images, c.Layers} {
		for _, o := range list {
			with := ""
			if n := len(o.Layers); n > 0 {
				with = " with " + plural(int64(n), "layer")
			}
			fmt.Fprintf(s.Stdout, "%s %s%s, used %s: %s\n", done,
				describeBrief(&brief{Kind: o.Kind, ID: o.ID, Names: o.Names}), with, s.ago(o.LastUse), humanSize(o.Size))
		}
	}
	for _, d := range c.Debris {
		why := "what a program left behind"
		if d.Trash {
			why = "what a deletion left over"
		}
		fmt.Fprintf(s.Stdout, "%s %s, %s: %s\n", done, clean(d.Path), why, humanSize(d.Size))
	}
	for _, o := range c.Leased {
		fmt.Fprintf(s.Stdout, "left %s: %s\n", describeBrief(&brief{Kind: o.Kind, ID: o.ID, Names: o.Names}), s.describeLease(&o.Lease))
	}
	for _, id := range c.Expired {
		fmt.Fprintf(s.Stdout, "%s lease %s, which has expired\n", done, clean(id))
	}
	for _, path := range c.Busy {
		fmt.Fprintf(s.Stdout, "left %s: a program is at work there\n", clean(path))
	}
	fmt.Fprintf(s.Stdout, "%s %s: %s, %s, %s without a record\n", freed, humanSize(c.Freed),
		plural(int64(len(c.Images)), string(model.KindImage)), plural(int64(len(c.Layers)), string(model.KindLayer)),
		many(len(c.Debris), "file or directory", "files or directories"))
}
