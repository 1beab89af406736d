package archive

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// PackChanges writes the given changes to w as a tar stream, which makes the
// older tree into the one below dir, a trusted path. Added and modified files
// are written as Pack does, deleted ones as whiteouts, in the order of Pack.
// The directories on the way to a change are written too, so that whoever
// unpacks the changes into an empty directory knows their owners and modes.
// Hard links are kept among the files that are written.
func PackChanges(ctx context.Context, w io.Writer, dir string, changes []model.Change, opts PackOptions) error {
	sorted := slices.SortedStableFunc(slices.Values(changes), walkOrder)
	return packTree(w, dir, opts, func(p *packer) (err error) {
		places := beneath.NewPlaces(p.root, nil)
		defer func() { err = errors.Join(err, places.Close()) }()
		c := changePacker{packer: p, places: places, written: map[string]bool{"": true}}
		for _, change := range sorted {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.change(ctx, change); err != nil {
				return aboutFile(change.Path, err)
			}
		}
		return nil
	})
}

// walkOrder compares changes by path as a walk meets them: "/a/b" before
// "/a-b". What is deleted comes before what takes its place.
func walkOrder(a, b model.Change) int {
	if order := slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/")); order != 0 {
		return order
	}
	return int(b.Kind) - int(a.Kind)
}

// changePacker writes changes.
type changePacker struct {
	*packer
	places  *beneath.Places
	written map[string]bool // the names of the directories that are written
}

func (c *changePacker) change(ctx context.Context, change model.Change) error {
	name, err := cleanName(change.Path)
	if err != nil || name == "" {
		return err
	}
	dir, _ := splitName(name)
	if err := c.parents(ctx, dir); err != nil {
		return err
	}
	if change.Kind == model.ChangeDelete {
		return c.whiteout(name)
	}
	return c.listed(ctx, name)
}

// parents writes the directories on the way to a change, from the top.
func (c *changePacker) parents(ctx context.Context, name string) error {
	if c.written[name] {
		return nil
	}
	above, _ := splitName(name)
	if err := c.parents(ctx, above); err != nil {
		return err
	}
	c.written[name] = true
	return c.file(ctx, name, func(stat *unix.Stat_t) bool { return stat.Mode&unix.S_IFMT == unix.S_IFDIR })
}

// listed writes a file that is listed as a change; for a directory, without
// what is in it.
func (c *changePacker) listed(ctx context.Context, name string) error {
	return c.file(ctx, name, func(stat *unix.Stat_t) bool {
		isDir, before := stat.Mode&unix.S_IFMT == unix.S_IFDIR, c.written[name]
		if isDir {
			c.written[name] = true
		}
		return !isDir || !before
	})
}

// file writes a file if wanted says so. One that has vanished since the trees
// were compared is left out.
func (c *changePacker) file(ctx context.Context, name string, wanted func(*unix.Stat_t) bool) error {
	dir, entry := splitName(name)
	place, err := c.places.Find(dir)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || err == nil && place.Name != dir {
		return nil
	}
	if err != nil {
		return err
	}
	stat, err := place.Stat(entry)
	if err != nil {
		return unlessVanished(err)
	}
	if !wanted(&stat) {
		return nil
	}
	return c.entry(ctx, place.Dir, entry, name, stat)
}
