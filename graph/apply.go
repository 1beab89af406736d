package graph

import (
	"context"
	"errors"
	"io"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// ApplyDiff applies a diff to a layer and returns how many bytes of file
// content the driver counted. It may be called for a layer with content, and
// for one that is mounted; what the record says about the diff is always about
// the last one.
//
// A layer that has no content yet gets it all at once, or stays as it was.
// Content that is there is changed in place: the layer is marked as incomplete
// before the first entry is unpacked, and stays so if that fails.
func (s *Store) ApplyDiff(ctx context.Context, id model.LayerID, diff io.Reader) (size int64, err error) {
	s, err = s.homeToChange(ctx, id)
	if err != nil {
		return 0, err
	}
	if err := s.beforeChange(ctx, id); err != nil {
		return 0, err
	}
	lock, err := s.lockContent(ctx, id, flock.Exclusive)
	if err != nil {
		return 0, err
	}
	defer lock.unlock(ctx)
	l, err := s.layerRecord(ctx, id)
	if err == nil {
		err = l.Damaged()
	}
	if err != nil {
		return 0, err
	}
	if l.Made {
		size, err = s.applyInPlace(ctx, l, diff)
	} else {
		size, err = s.applyAside(ctx, l, diff)
	}
	return size, model.OnObject(model.KindLayer, id, err)
}

// applyAside makes the directory of a layer with its content in it.
func (s *Store) applyAside(ctx context.Context, l *model.Layer, diff io.Reader) (size int64, err error) {
	staged := &StagedLayer{layer: *l}
	if l.Parent != "" {
		parent, err := s.makeLayer(ctx, l.Parent)
		if err != nil {
			return 0, err
		}
		staged.parentDir = dirOf(parent)
	}
	if staged.claims, err = s.claim(ctx, s.wantLayer(l.ID), s.wantTarSplit(l.ID)); err != nil {
		return 0, err
	}
	defer func() { discardAfter(ctx, staged, &err) }()
	if err := s.stage(ctx, staged, LayerSpec{}, diff); err != nil {
		return 0, err
	}
	return staged.layer.Size, s.Update(ctx, func(tx *Tx) error {
		return tx.take(staged.claims, func() error {
			_, err := tx.updateLayer(db.OpApply, l, func(record *model.Layer) {
				record.Made, record.Dir = true, staged.layer.Dir
				record.Diff, record.Size = staged.layer.Diff, staged.layer.Size
			})
			return err
		})
	})
}

// applyInPlace changes the content of a layer.
func (s *Store) applyInPlace(ctx context.Context, l *model.Layer, diff io.Reader) (size int64, err error) {
	claims, err := s.claim(ctx, s.wantTarSplit(l.ID))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, claims[0].discard(ctx)) }()
	disks, err := s.openSyncer()
	if err != nil {
		return 0, err
	}
	defer disks.close()
	if err := s.setIncomplete(ctx, l, true); err != nil {
		return 0, err
	}
	crashpoint.Hit(crashpoint.ApplyMarked)
	done, err := s.unpack(ctx, l.DriverDir(), claims[0].entry.Path, diff)
	if err != nil {
		if done.entries == 0 && !l.Incomplete { // nothing has been changed
			err = errors.Join(err, s.setIncomplete(context.WithoutCancel(ctx), l, false))
		}
		return 0, err
	}
	crashpoint.Hit(crashpoint.ApplyUnpacked)
	if err := disks.sync(); err != nil {
		return 0, err
	}
	return done.size, s.Update(ctx, func(tx *Tx) error {
		return tx.take(claims, func() error { return tx.applied(l, done) })
	})
}

// applied notes in the record of a layer what has been applied to it.
func (tx *Tx) applied(l *model.Layer, done applied) error {
	var old *model.Diff
	_, err := tx.updateLayer(db.OpApply, l, func(record *model.Layer) {
		old = record.Diff
		record.Incomplete, record.Diff, record.Size = false, done.diff, done.size
	})
	if err != nil || old == nil {
		return err
	}
	p, err := tx.db.placeTo(l.ID)
	if err != nil {
		return err
	}
	return tx.discardContent(p, old.TarSplit, l.ID)
}

// setIncomplete sets or clears the mark of a layer whose content is being
// changed in place.
func (s *Store) setIncomplete(ctx context.Context, l *model.Layer, incomplete bool) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.updateLayer(db.OpApply, l, func(record *model.Layer) { record.Incomplete = incomplete })
		return err
	})
}
