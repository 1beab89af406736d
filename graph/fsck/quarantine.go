package fsck

import (
	"errors"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// marked tells whether what an object names is marked as damaged, and whether
// there is a record that could be.
func (c *checker) marked(o *Object) (marked, known bool, err error) {
	mark, known, err := c.markOf(o)
	return mark != "", known && err == nil, ignoreMissing(intact(err))
}

func (c *checker) markOf(o *Object) (mark string, known bool, err error) {
	if o.Item != "" {
		item, err := c.tx.DataItem(o.Kind, o.ID, o.Item)
		if err != nil {
			return "", false, err
		}
		return item.Content.Damage, true, nil
	}
	if o.Kind != model.KindLayer {
		return "", false, nil
	}
	l, err := c.tx.Layer(model.LayerID(o.ID))
	switch {
	case err != nil:
		return "", false, err
	case !o.TarSplit:
		return l.Damage, true, nil
	case l.Diff == nil || l.Diff.TarSplit == nil:
		return "", false, nil
	}
	return l.Diff.TarSplit.Damage, true, nil
}

// addMark reports that something is marked as damaged, and whole.
func (c *checker) addMark(o *Object, place, code string) {
	c.add(Finding{
		Code: CodeMark, Object: o, Realm: InRoot, Place: place,
		Expected: "no mark on what is whole", Found: "the mark that was made because of " + code,
	})
}

// checkMark reports the mark of a layer of which nothing is known but that it is
// there again.
func (s *store) checkMark(l *model.Layer, faults int) error {
	if l.Damage == "" || l.Diff != nil || faults > 0 {
		return nil
	}
	changing, err := s.busy.OnLayer(l.ID)
	if err == nil && !changing {
		s.addMark(layerObject(l.ID), s.placeOf(l.DriverDir()), l.Damage)
	}
	return err
}

// mark returns the code because of which what is read is marked as damaged, or
// "".
func (r *reading) mark() string {
	if r.diff != nil {
		return r.damage
	}
	return r.content.Damage
}

// confirmWhole reports the marks of what was read and found to be whole.
func (c *checker) confirmWhole(busy graph.AtWork, whole []*reading) error {
	for _, r := range whole {
		holds, err := c.holds(busy, r)
		if err != nil {
			return err
		}
		marked, _, err := c.marked(&r.object)
		if err != nil {
			return err
		}
		if holds && marked {
			c.addMark(&r.object, r.place, r.mark())
		}
	}
	return nil
}

// isVolatile tells whether an object is recorded in a database of volatile
// containers.
func (c *checker) isVolatile(o *Object) (bool, error) {
	_, err := c.tx[0].Names(o.Kind, o.ID)
	if !errors.Is(err, model.ErrNotFound) {
		return false, intact(err)
	}
	_, err = c.tx.Names(o.Kind, o.ID)
	return err == nil, ignoreMissing(intact(err))
}
