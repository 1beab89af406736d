package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// OverlayChanges returns the changes that the upper directory of an overlay
// makes to the lower ones, which are given nearest first, sorted by path. It
// is the list that Changes gives for the overlay mounted without and with the
// upper directory, found without mounting them. All paths are trusted.
func OverlayChanges(ctx context.Context, upper string, lowerDirs []string, whiteouts Whiteouts, opts CompareOptions) (_ []model.Change, err error) {
	cursor, err := openCursor(upper)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	lowers, err := openLowers(lowerDirs, whiteouts)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, lowers.close()) }()

	c := overlayComparison{upper: cursor, lowers: lowers, opts: opts}
	// The root of an overlay is never opaque, whatever its attribute says.
	if _, err := c.directory(ctx, mergedDir{which: lowers.all()}); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return c.sorted(), nil
}

// overlayComparison is a comparison of an upper directory with the lower ones
// under way.
type overlayComparison struct {
	changeList
	upper  *beneath.Cursor
	lowers *lowers
	opts   CompareOptions
}

// mergedDir is a directory that both the upper and the lower trees have.
type mergedDir struct {
	name    string
	which   []int // the lower trees that it consists of
	opaque  bool  // the upper directory, or one above it, hides the lower ones
	verdict dirVerdict
}

// directory compares the directory in which the cursor stands with the lower
// ones of the same name. It first looks at all entries and then at what is
// below them, so that the lower directories of one level at a time are open.
func (c *overlayComparison) directory(ctx context.Context, dir mergedDir) (happened dirEvents, err error) {
	if err := checkLength(dir.name); err != nil {
		return happened, aboutFile(dir.name, err)
	}
	happened, below, err := c.entries(ctx, dir)
	if err != nil {
		return happened, err
	}
	for _, sub := range below {
		if err := c.descend(ctx, sub); err != nil {
			return happened, err
		}
	}
	return happened, nil
}

func (c *overlayComparison) descend(ctx context.Context, sub mergedDir) error {
	_, entry := splitName(sub.name)
	if err := c.upper.Enter(entry); err != nil {
		return unlessVanished(err)
	}
	happened, err := c.directory(ctx, sub)
	if err != nil {
		return err
	}
	if sub.verdict.modified(happened) {
		c.add(model.ChangeModify, sub.name)
	}
	return c.upper.Leave()
}

// entries compares the entries of a directory and returns the directories
// among them that the lower trees have as well.
func (c *overlayComparison) entries(ctx context.Context, dir mergedDir) (happened dirEvents, below []mergedDir, err error) {
	lower, err := c.lowers.at(dir.name, dir.which)
	if err != nil {
		return happened, nil, err
	}
	defer func() { err = errors.Join(err, lower.close()) }()
	names, err := c.upper.Dir().Names()
	if err != nil {
		return happened, nil, err
	}
	here := beneath.Place{Name: dir.name}
	for _, entry := range names {
		if err := ctx.Err(); err != nil {
			return happened, nil, err
		}
		event, sub, err := c.entry(ctx, lower, entry, here.Join(entry))
		if err != nil {
			return happened, nil, aboutFile(here.Join(entry), err)
		}
		happened.note(event)
		if sub != nil {
			sub.opaque = sub.opaque || dir.opaque
			below = append(below, *sub)
		}
	}
	if dir.opaque {
		err = c.hidden(lower, names, here, &happened)
	}
	return happened, below, err
}

// entry compares one entry with the lower one of the same name.
func (c *overlayComparison) entry(ctx context.Context, lower *lowerDir, entry, name string) (dirEvent, *mergedDir, error) {
	now, err := c.opts.locate(c.upper.Dir(), entry)
	if err != nil {
		return nothing, nil, unlessVanished(err)
	}
	found, err := lower.find(entry)
	if err != nil {
		return nothing, nil, err
	}
	old, err := c.opts.located(found.dir, entry, found.stat)
	if err != nil {
		return nothing, nil, err
	}
	switch {
	case isWhiteout(&now.stat):
		if found.dir == nil {
			return nothing, nil, nil
		}
		c.add(model.ChangeDelete, name)
		return deletion, nil, nil
	case found.dir == nil:
		c.add(model.ChangeAdd, name)
		return addition, nil, c.addBelow(ctx, &now, name)
	case old.kind() != now.kind():
		c.add(model.ChangeModify, name)
		return nothing, nil, c.addBelow(ctx, &now, name)
	case now.isDir():
		sub, err := c.mergedDir(&old, &now, name, found.which)
		return nothing, sub, err
	}
	changed, err := differ(&old, &now)
	if changed {
		c.add(model.ChangeModify, name)
	}
	return nothing, nil, err
}

func (c *overlayComparison) mergedDir(old, now *located, name string, which []int) (*mergedDir, error) {
	verdict, err := judge(old, now)
	if err != nil {
		return nil, err
	}
	opaque, err := c.lowers.whiteouts.isOpaque(now.dir, now.name)
	return &mergedDir{name: name, which: which, opaque: opaque, verdict: verdict}, err
}

// hidden lists the lower entries that an opaque directory does not have.
func (c *overlayComparison) hidden(lower *lowerDir, names []string, here beneath.Place, happened *dirEvents) error {
	lowerNames, err := lower.names()
	if err != nil {
		return err
	}
	for _, entry := range lowerNames {
		if _, has := slices.BinarySearch(names, entry); !has {
			c.add(model.ChangeDelete, here.Join(entry))
			happened.note(deletion)
		}
	}
	return nil
}

// addBelow lists all that is below a new directory. Whiteouts in it hide
// nothing.
func (c *overlayComparison) addBelow(ctx context.Context, now *located, name string) (err error) {
	if !now.isDir() {
		return nil
	}
	dir, err := now.dir.Enter(now.name)
	if err != nil {
		return unlessVanished(err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	here := beneath.Place{Name: name}
	return dir.Walk(ctx, func(entry *beneath.Entry) error {
		if !isWhiteout(&entry.Stat) {
			c.add(model.ChangeAdd, here.Join(entry.Path()))
		}
		return nil
	})
}
