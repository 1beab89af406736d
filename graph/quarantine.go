package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// A repair puts in quarantine what is damaged and cannot be healed. What is in
// quarantine is not used any more, and everything else goes on being used. It
// ends when the content is whole again: a data item when it is stored anew, a
// layer when it is imported again under its ID, and both by another repair.

// checkQuarantine returns an error if the files of a layer or of a layer below it
// are in quarantine.
func (s *Store) checkQuarantine(ctx context.Context, l *model.Layer) error {
	if err := l.Damaged(); err != nil || s.copiesParents() {
		return err
	}
	err := s.View(ctx, func(tx *ReadTx) error {
		return tx.eachAncestor(l.Parent, make(map[model.LayerID]bool), func(below *model.Layer) error { return below.Damaged() })
	})
	if errors.Is(err, model.ErrCorrupt) && !errors.Is(err, model.ErrDamaged) {
		err = nil // a record that cannot be read says nothing about the files
	}
	return err
}

// healing makes a staged layer one that replaces the content of a damaged one.
func (l *StagedLayer) healing(damaged *model.Layer) error {
	if damaged.Damage == "" {
		return model.ErrDuplicateID
	}
	if damaged.Diff == nil {
		return fmt.Errorf("%w: %w", model.ErrDuplicateID, damaged.Damaged())
	}
	if damaged.Parent != l.layer.Parent {
		return fmt.Errorf("%w: %w; its parent is %q and not %q", model.ErrDuplicateID, damaged.Damaged(), damaged.Parent, l.layer.Parent)
	}
	names := l.layer.Names
	l.layer, l.heals, l.expected = *damaged, true, damaged.Diff.Digest
	l.layer.Names, l.layer.Damage = names, ""
	return nil
}

// replaceDamaged puts the content that was staged in the place of that of the
// damaged layer.
func (s *Store) replaceDamaged(ctx context.Context, staged *StagedLayer, damaged *model.Layer) error {
	driver, ok := s.driver.(drivers.Replacer)
	if !ok {
		return fmt.Errorf("replacing damaged content with driver %s: %w", s.driver.Name(), model.ErrUnsupported)
	}
	lock, err := lockLayers(ctx, wanted{s, damaged.ID, contentKey(damaged.ID), flock.Exclusive}, wanted{s, damaged.ID, mountKey(damaged.ID), flock.Exclusive})
	if err != nil {
		return err
	}
	defer lock.unlock(ctx)
	l, err := s.stillDamaged(ctx, staged, damaged)
	if l == nil {
		return err
	}
	if err := s.checkUnmounted(ctx, l); err != nil {
		return err
	}
	disks, err := s.openSyncer()
	if err != nil {
		return err
	}
	defer disks.close()
	content := staged.claims[0]
	if err := driver.Replace(ctx, l.DriverDir(), content.entry.Dir); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.HealReplaced)
	if err := disks.sync(); err != nil {
		return err
	}
	staged.layer.Dir = l.Dir
	staged.claims = staged.claims[1:]
	return content.discard(ctx) // it is the damaged content by now
}

// stillDamaged returns the layer whose content is to be replaced, or nil if what is
// staged is to have a directory of its own.
func (s *Store) stillDamaged(ctx context.Context, staged *StagedLayer, damaged *model.Layer) (*model.Layer, error) {
	l, err := s.layerRecord(ctx, damaged.ID)
	if staged.renews {
		if !errors.Is(err, model.ErrCorrupt) {
			return nil, errors.Join(err, fmt.Errorf("%w: its record has become readable", model.ErrBusy))
		}
		// An earlier layer of the same ID may be about to be removed there.
		inTheWay, err := s.pathInTrash(ctx, s.layerPath(damaged.DriverDir()))
		if err != nil || inTheWay {
			return nil, err
		}
		return damaged, nil
	}
	if err == nil && (l.Seq != damaged.Seq || l.Damage == "" || l.DriverDir() != damaged.DriverDir()) {
		err = fmt.Errorf("%w: it has been healed or replaced meanwhile", model.ErrBusy)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// checkUnmounted returns an error if a layer, or one on top of it, is mounted.
func (s *Store) checkUnmounted(ctx context.Context, l *model.Layer) error {
	mounts, err := s.Mounts(ctx)
	if err != nil {
		return err
	}
	return s.View(ctx, func(tx *ReadTx) error {
		for _, m := range mounts {
			sees := m.Layer == l.ID
			if !sees && !s.copiesParents() {
				err = tx.eachAncestor(m.Layer, make(map[model.LayerID]bool), func(below *model.Layer) error {
					sees = sees || below.ID == l.ID
					return nil
				})
			}
			// On top of what cannot be read there may be anything.
			if sees || errors.Is(err, model.ErrCorrupt) {
				err = model.OnObject(model.KindLayer, m.Layer, fmt.Errorf("%w: it would see the content change", model.ErrLayerMounted))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// healed ends the quarantine of a layer whose content has been replaced.
func (tx *Tx) healed(damaged *model.Layer, staged *StagedLayer) (healed *model.Layer, err error) {
	err = tx.take(staged.claims, func() error {
		healed, err = tx.updateLayer(db.OpApply, damaged, func(l *model.Layer) {
			l.Damage, l.Incomplete, l.Diff, l.Size = "", false, staged.layer.Diff, staged.layer.Size
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Clone(staged.layer.Names), func(name string) bool { return slices.Contains(healed.Names, name) })
	if len(names) > 0 {
		if healed.Names, err = tx.AddNames(damaged.ID, names...); err != nil {
			return nil, err
		}
	}
	p, err := tx.db.placeTo(damaged.ID)
	if err != nil {
		return nil, err
	}
	return healed, tx.discardContent(p, damaged.Diff.TarSplit, damaged.ID)
}
