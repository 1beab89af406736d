package overlay

import (
	"context"
	"errors"

	"github.com/csdb/csdb/drivers"
)

// A layer may stand on layers in homes of other stores, each of which notes for
// itself how its layers were written. What matters for a layer is what is noted
// where it is and where anything below it is.

// marks are what homes note about their layers, apart from the mark of mount
// programs, which checkMark looks at.
type marks struct {
	indirection
	forced bool
}

// add adds what a home notes.
func (m *marks) add(home *drivers.LayerDirs) error {
	indirect, err := indirections(home.Dir)
	if err != nil {
		return err
	}
	forced, err := hasMark(home.Dir, forceMarkFile)
	m.metacopy = m.metacopy || indirect.metacopy
	m.redirect = m.redirect || indirect.redirect
	m.forced = m.forced || forced
	return err
}

// marksOf returns what matters for a layer.
func (d *Driver) marksOf(ctx context.Context, layer *drivers.Located) (marks, error) {
	var m marks
	if err := m.add(layer.Home); err != nil || d.homes.Alone() {
		return m, err
	}
	last := layer.Home
	err := d.eachLower(ctx, layer, func(lower content) error {
		err := lower.Close()
		if lower.home != last && err == nil {
			last = lower.home
			err = m.add(last)
		}
		return err
	})
	return m, err
}

// marks returns what matters for a stack.
func (s *stack) marks() (marks, error) {
	var m marks
	var last *drivers.LayerDirs
	contents := s.lowers
	if s.upper != nil {
		contents = append([]content{*s.upper}, contents...)
	}
	for _, c := range contents {
		if c.home == nil || c.home == last { // an empty directory is in none
			continue
		}
		last = c.home
		if err := m.add(last); err != nil {
			return m, err
		}
	}
	return m, nil
}

// heed makes a mount of the stack show what is there, or refuses it.
func (d *Driver) heed(s *stack) error {
	m, err := s.marks()
	if err != nil {
		return err
	}
	if err := errors.Join(d.checkIndirection(m.indirection), d.checkForced(s, m.forced)); err != nil {
		return err
	}
	d.followIndirection(&s.options, m.indirection)
	return nil
}
