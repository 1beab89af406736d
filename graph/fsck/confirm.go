package fsck

import (
	"context"
	"errors"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// checkContents reads contents, with nobody waiting, and reports what differs
// from the records.
func (c *checker) checkContents(ctx context.Context, driver drivers.Entry) error {
	r, err := c.readContents(ctx, driver)
	if err != nil || len(r.results)+len(r.whole) == 0 {
		return err
	}
	_, err = c.look(ctx, func() error { return c.confirm(ctx, r) })
	return errors.Join(err, c.errInside)
}

// confirm reports those results that still hold: in a store that is in use
// something may have been deleted or replaced while it was read.
func (c *checker) confirm(ctx context.Context, read *reader) error {
	busy := graph.AtWorkIn(c.options.Root)
	if err := c.confirmWhole(busy, read.whole); err != nil {
		return err
	}
	for i := range read.results {
		r := &read.results[i]
		holds, err := c.holds(busy, r.reading)
		if err != nil {
			return err
		}
		if holds {
			c.add(Finding{
				Code: r.code, Object: &r.reading.object, Realm: InRoot, Place: r.reading.place,
				Expected: r.expected, Found: r.found, Files: r.files[:min(len(r.files), maxFiles)], Lost: r.lost(),
			})
		}
	}
	return c.attribute(ctx)
}

// lost says what would have to be brought back.
func (r *result) lost() *Lost {
	lost := &Lost{Content: r.reading.content, Diff: r.reading.diff, Dir: r.reading.files}
	for _, file := range r.files {
		lost.Files = append(lost.Files, file.Path)
	}
	return lost
}

// isRecorded tells whether a content file is still that of its object: the same
// path may meanwhile have got the content of another object of that ID.
func (c *checker) isRecorded(r *reading) (bool, error) {
	o := &r.object
	if !o.TarSplit {
		item, err := c.tx.DataItem(o.Kind, o.ID, o.Item)
		return err == nil && item.Content == r.content, ignoreMissing(intact(err))
	}
	l, err := c.tx.Layer(model.LayerID(o.ID))
	return err == nil && l.Diff != nil && l.Diff.TarSplit != nil && *l.Diff.TarSplit == r.content, ignoreMissing(intact(err))
}

// holds tells whether something is still recorded as it was when its reading
// was planned, and nobody is changing it.
func (c *checker) holds(busy graph.AtWork, r *reading) (bool, error) {
	if r.diff == nil {
		return c.isRecorded(r)
	}
	l, err := c.tx.Layer(model.LayerID(r.object.ID))
	if err != nil {
		return false, ignoreMissing(intact(err))
	}
	if l.Seq != r.seq || l.Incomplete || l.Diff == nil || l.Diff.Digest != r.diff.Digest || l.DriverDir() != r.dir.Dir {
		return false, nil
	}
	changing, err := busy.OnLayer(l.ID)
	return !changing, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, model.ErrNotFound) {
		return nil
	}
	return err
}
