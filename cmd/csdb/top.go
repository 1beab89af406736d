package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/cli"
)

type top struct {
	interval time.Duration
	count    int
}

func (p *program) topCommand() *urfave.Command {
	o := &top{}
	return p.command(urfave.Command{
		Name: "top", Usage: "show who holds the database, who waits for it, and how long commits take",
		Description: `
Shows how many transactions were committed in the last minute, and how long they
waited for the database, ran, and took to be committed; the processes that hold
the lock of the database or wait for it, with the time since "csdb top" has seen
that first; the contents that programs are at work on; and the last transactions.

On a terminal, that is drawn anew until the program is interrupted. Otherwise, and
with --json, each snapshot is written after the other: a single one, unless
--count says how many, or 0, which means until the program is interrupted. With
--json, each is an object in a line of its own; times are in microseconds.

It waits for nobody and keeps nobody waiting, so it also shows who has stopped
while he holds the lock. The times come from a file that programs write to after
each commit (csdb.lock in the graph root), which has the last 256 transactions;
in a copy of a store nothing may be recorded. What each of them has done is shown
by "csdb log". Processes can be seen as far as the kernel shows them: those of
another PID namespace may be missing.

Examples:

  csdb top
  csdb top --interval 5s --count 12 >top.txt
  csdb top --json | jq -r '.processes[] | select(.state == "holds") | .pid'`,
		Flags: []urfave.Flag{
			&urfave.DurationFlag{Name: "interval", Aliases: []string{"i"}, Usage: "`DURATION` between two snapshots", Value: time.Second, Destination: &o.interval},
			&urfave.IntFlag{Name: "count", Aliases: []string{"n"}, Usage: "end after `N` snapshots; 0 means never", DefaultText: "0 on a terminal, otherwise 1", Destination: &o.count},
		},
	}, arity{0, 0}, o)
}

// minInterval is as often as it makes sense to look.
const minInterval = 10 * time.Millisecond

func (o *top) run(ctx context.Context, s *session, _ []string) error {
	switch {
	case o.interval < minInterval:
		return &usageError{command: "top", err: fmt.Errorf("--interval %v is less than %v", o.interval, minInterval)}
	case o.count < 0:
		return &usageError{command: "top", err: fmt.Errorf("--count %d: not a number of snapshots", o.count)}
	}
	watch := newWatch(s)
	// What goes wrong at once does not need a page of its own.
	first, err := watch.look(ctx)
	if err != nil {
		return err
	}
	var screen *cli.Screen
	if !s.json {
		screen = s.StartScreen()
		defer screen.End()
	}
	if screen == nil && !s.flagged("count") {
		o.count = 1
	}
	return o.show(ctx, s, watch, first, screen)
}

// show shows one snapshot after the other, until there were enough or the
// context ends. screen may be nil.
func (o *top) show(ctx context.Context, s *session, watch *watch, now *snapshot, screen *cli.Screen) error {
	ticks := time.NewTicker(o.interval)
	defer ticks.Stop()
	for n := 1; ; n++ {
		if err := s.showSnapshot(now, screen, n); err != nil {
			return err
		}
		if n == o.count {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // that is how it is ended
		case <-ticks.C:
		}
		var err error
		if now, err = watch.look(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// showSnapshot shows the n-th snapshot.
func (s *session) showSnapshot(now *snapshot, screen *cli.Screen, n int) error {
	if s.json {
		return s.writeJSON(now)
	}
	text := now.text()
	if screen != nil {
		return screen.Draw(text)
	}
	if n > 1 {
		text = "\n" + text
	}
	_, err := fmt.Fprint(s.Stdout, text)
	return err
}

// storeThere returns an error unless there is a database, of which nothing need
// be right.
func (s *session) storeThere() error {
	_, err := os.Lstat(filepath.Join(s.settings.root, db.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", errNoStore, err)
	}
	return err
}
