package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// An empty layer has no directory until it is needed: when it is mounted,
// written to, compared with another one than its parent, or made the parent of
// something that has content.

// makeLayer sees to it that a layer and its ancestors have directories, and
// returns its record.
func (s *Store) makeLayer(ctx context.Context, id model.LayerID) (*model.Layer, error) {
	l, home, err := s.layerAt(ctx, id)
	if err != nil || l.Made || l.ReadOnly {
		return l, err
	}
	lock, err := home.lockContent(ctx, id, flock.Exclusive)
	if err != nil {
		return nil, err
	}
	defer lock.unlock(ctx)
	return home.makeLocked(ctx, id)
}

// dirOf returns the driver's name for a layer that another one is made on, or "" if
// there is nothing: an empty layer of another store has no directory, and none
// can be made.
func dirOf(parent *model.Layer) string {
	if !parent.Made {
		return ""
	}
	return parent.DriverDir()
}

// makeLocked is makeLayer for a caller who holds the lock on the content.
// Ancestors are locked after their descendants, so nobody waits in a circle.
func (s *Store) makeLocked(ctx context.Context, id model.LayerID) (*model.Layer, error) {
	l, err := s.layerRecord(ctx, id)
	if err != nil || l.Made {
		return l, err
	}
	parentDir := ""
	if l.Parent != "" {
		parent, err := s.makeLayer(ctx, l.Parent)
		if err != nil {
			return nil, model.OnObject(model.KindLayer, id, fmt.Errorf("parent: %w", err))
		}
		parentDir = dirOf(parent)
	}
	claims, err := s.claim(ctx, s.wantLayer(id))
	if err != nil {
		return nil, model.OnObject(model.KindLayer, id, err)
	}
	made, err := s.makeDir(ctx, l, claims[0], parentDir)
	if err != nil {
		return nil, model.OnObject(model.KindLayer, id, errors.Join(err, claims[0].discard(ctx)))
	}
	return made, nil
}

// makeDir makes the directory of an empty layer and notes that in its record.
func (s *Store) makeDir(ctx context.Context, l *model.Layer, c *claim, parentDir string) (*model.Layer, error) {
	disks, err := s.openSyncer()
	if err != nil {
		return nil, err
	}
	defer disks.close()
	if err := s.createDir(ctx, l, c.entry.Dir, parentDir); err != nil {
		return nil, err
	}
	if err := disks.sync(); err != nil {
		return nil, err
	}
	crashpoint.Hit(crashpoint.MakeCreated)
	return update(ctx, s, func(tx *Tx) (made *model.Layer, err error) {
		err = tx.take([]*claim{c}, func() error {
			made, err = tx.updateLayer(db.OpMake, l, func(l *model.Layer) {
				l.Made, l.Size = true, model.SizeUnknown
				l.Dir = c.layerDir(l.ID)
			})
			return err
		})
		return made, err
	})
}

// layerDir is what the record of a layer says about its directory, which has
// been claimed.
func (c *claim) layerDir(id model.LayerID) string {
	if c.entry.Dir == string(id) {
		return ""
	}
	return c.entry.Dir
}

// createDir makes the directory of a layer. Something there that has no record
// is garbage; the caller holds the claim. The parent is not changed meanwhile.
func (s *Store) createDir(ctx context.Context, l *model.Layer, dir, parentDir string) error {
	if l.Parent != "" {
		home, err := s.homeOf(ctx, l.Parent)
		if errors.Is(err, model.ErrNotFound) {
			home, err = s, nil // it is staged
		}
		if err != nil {
			return err
		}
		lock, err := lockLayers(ctx, home.toRead(l.Parent)...)
		if err != nil {
			return err
		}
		defer lock.unlock(ctx)
	}
	options := createOptions(l)
	err := s.driver.Create(ctx, dir, parentDir, options)
	if !errors.Is(err, model.ErrExists) {
		return err
	}
	if err := s.driver.Remove(ctx, dir); err != nil {
		return err
	}
	return s.driver.Create(ctx, dir, parentDir, options)
}

func createOptions(l *model.Layer) drivers.CreateOptions {
	return drivers.CreateOptions{
		Writable: l.Writable, StorageOpt: l.StorageOpt, MountLabel: l.MountLabel, UIDMap: l.UIDMap, GIDMap: l.GIDMap,
	}
}

// checkOptions reports whether the driver will refuse to make the directory of a
// layer because of its options. The record is made long before.
func (s *Store) checkOptions(l *model.Layer) error {
	checker, ok := s.driver.(drivers.CreateChecker)
	if !ok {
		return nil
	}
	return checker.CheckCreate(createOptions(l))
}

// updateLayer changes the record of a layer, if it is still the layer that the
// caller knows: its ID may have been given to a new one.
func (tx *Tx) updateLayer(op db.Op, known *model.Layer, fn func(*model.Layer)) (*model.Layer, error) {
	return tx.db.UpdateLayer(op, known.ID, func(l *model.Layer) error {
		if l.Seq != known.Seq {
			return model.Unknown(model.KindLayer, known.ID)
		}
		fn(l)
		return nil
	})
}

// copiesParents tells whether the driver gives a new layer a copy of its
// parent, see drivers.ParentCopier.
func (s *Store) copiesParents() bool {
	copier, ok := s.driver.(drivers.ParentCopier)
	return ok && copier.CopiesParents()
}

// beforeChange is called before the content of a layer may change. Children
// that were created before, and have no directory yet, must not see the change
// with a driver that copies parents.
func (s *Store) beforeChange(ctx context.Context, id model.LayerID) error {
	if !s.copiesParents() {
		return nil
	}
	children, err := view(ctx, s, func(tx *ReadTx) ([]model.LayerID, error) { return tx.db.Children(id) })
	if err != nil {
		return err
	}
	for _, child := range children {
		_, err := s.makeLayer(ctx, child)
		if err := ignoreNotFound(err); err != nil {
			return model.OnObject(model.KindLayer, id, fmt.Errorf("child: %w", err))
		}
	}
	return nil
}

// afterCreate is called when an empty layer has been created. Its parent may be
// mounted and be changed at any time, so with a driver that copies parents it
// cannot wait for its directory.
func (s *Store) afterCreate(ctx context.Context, id, parent model.LayerID) error {
	if !s.copiesParents() {
		return nil
	}
	home, err := s.homeOf(ctx, parent)
	if err != nil {
		return ignoreNotFound(err)
	}
	var noted *db.Mount
	err = home.run.View(ctx, func(tx *db.RunTx) (err error) {
		noted, err = tx.Mount(parent)
		return err
	})
	if err != nil || noted == nil {
		return err
	}
	_, err = s.makeLayer(ctx, id)
	return ignoreNotFound(err)
}
