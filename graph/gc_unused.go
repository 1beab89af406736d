package graph

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// validate returns an error if the policy makes no sense.
func (p *UnusedPolicy) validate() error {
	if p.For < 0 || p.KeepLast < 0 {
		return fmt.Errorf("%w: unused for %v, keep last %d", model.ErrInvalid, p.For, p.KeepLast)
	}
	for _, pattern := range p.Keep {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("%w: pattern %q: %w", model.ErrInvalid, pattern, err)
		}
	}
	return nil
}

// collectUnused deletes images and layers by a policy. What is to be deleted is
// found out first, from one picture of the store; each deletion looks again
// whether that still holds.
func (s *Store) collectUnused(ctx context.Context, options GCOptions, c *Collected) error {
	mounted, err := s.mountedLayers(ctx)
	if err != nil {
		return err
	}
	var p *gcPlan
	err = s.View(ctx, func(tx *ReadTx) (err error) {
		tx.leased = s.leasedOf(ctx, options.Now)
		p = newGCPlan(tx, options.Unused, options.Now(), mounted)
		return p.make(ctx)
	})
	if err != nil {
		return err
	}
	c.Leased = append(c.Leased, p.leased...)
	total, err := measurePlan(ctx, p, options.Progress)
	if err != nil {
		return err
	}
	done := options.Progress.Start("removing", total)
	for i := range p.images {
		err = errors.Join(err, s.collectObject(ctx, &p.images[i], options.DryRun, &c.Images))
		done(p.images[i].Size)
	}
	for i := range p.layers {
		err = errors.Join(err, s.collectObject(ctx, &p.layers[i], options.DryRun, &c.Layers))
		done(p.layers[i].Size)
	}
	return err
}

// measurePlan adds the sizes of the directories of what is to be deleted, and
// returns the sum of all sizes.
func measurePlan(ctx context.Context, p *gcPlan, progress db.Progress) (total int64, err error) {
	done := progress.Start("measuring", -1)
	for _, all := range [][]planned{p.images, p.layers} {
		for i := range all {
			for _, l := range all[i].dirs {
				size, err := l.home.sizeOnDisk(ctx, db.Staged{Kind: db.TrashLayer, Dir: l.DriverDir()})
				if err != nil {
					return 0, err
				}
				all[i].Size += size
				done(size)
			}
			total += all[i].Size
		}
	}
	return total, nil
}

// mountedLayers returns the layers that are mounted.
func (s *Store) mountedLayers(ctx context.Context) (map[model.LayerID]bool, error) {
	mounted := make(map[model.LayerID]bool)
	for _, home := range s.homes() {
		err := home.run.View(ctx, func(tx *db.RunTx) error {
			all, err := tx.Mounts()
			for _, m := range all {
				mounted[m.Layer] = m.Count > 0
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return mounted, nil
}

// collectObject deletes an image or a layer, unless it has come into use again.
func (s *Store) collectObject(ctx context.Context, o *planned, dryRun bool, done *[]CollectedObject) error {
	if !dryRun {
		deleted, err := update(ctx, s, func(tx *Tx) (bool, error) { return tx.collect(o) })
		if err != nil || !deleted {
			return err
		}
	}
	*done = append(*done, o.CollectedObject)
	return nil
}

// collect deletes an image or a layer if nothing about it has changed since the
// plan was made.
func (tx *Tx) collect(o *planned) (deleted bool, err error) {
	names, err := tx.Names(model.NewID(o.Kind, o.ID))
	if err != nil || !slices.Equal(names, o.Names) {
		return false, ignoreNotFound(err)
	}
	if o.Kind == model.KindLayer {
		uses, err := tx.db.Uses(model.LayerID(o.ID))
		if err != nil || uses > 0 {
			return false, err
		}
		err = tx.DeleteLayer(model.LayerID(o.ID))
		if errors.Is(err, model.ErrInUse) {
			return false, nil
		}
		return err == nil, err
	}
	layers, err := tx.LayersOnlyOf(model.ImageID(o.ID))
	if errors.Is(err, model.ErrInUse) {
		return false, nil
	}
	if err != nil || !slices.Equal(layers, o.Layers) {
		return false, err
	}
	_, err = tx.DeleteImage(model.ImageID(o.ID))
	return err == nil, err
}
