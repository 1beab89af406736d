package repair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

// storeSource is another store. It is only read, and its driver is not needed.
type storeSource string

func (s storeSource) open(ctx context.Context, lost *fsck.Lost) (_ io.ReadCloser, err error) {
	database, err := db.Open(ctx, string(s), db.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer database.Close()
	if lost.Diff != nil {
		return s.openDiff(ctx, database, lost.Diff)
	}
	files, err := content.Open(string(s))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	var found *model.Content
	err = database.View(ctx, func(tx *db.ReadTx) (err error) {
		found, err = findContent(tx, lost.Content)
		return err
	})
	if err != nil {
		return nil, err
	}
	return files.Open(*found)
}

// findContent finds a content file with the digest of another one.
func findContent(tx *db.ReadTx, wanted model.Content) (found *model.Content, err error) {
	look := func(c *model.Content) error {
		if c != nil && c.Digest == wanted.Digest && c.Size == wanted.Size {
			found = c
			return io.EOF
		}
		return nil
	}
	for _, kind := range model.Kinds {
		if err = tx.EachData(kind, func(_ string, item *model.Data) error { return look(&item.Content) }); err != nil {
			break
		}
	}
	if err == nil {
		err = tx.EachLayer(func(l *model.Layer) error {
			if l.Diff == nil {
				return nil
			}
			return look(l.Diff.TarSplit)
		})
	}
	switch {
	case found != nil:
		return found, nil
	case err != nil:
		return nil, err
	}
	return nil, model.ErrNotFound
}

// openDiff puts the diff of a layer together.
func (s storeSource) openDiff(ctx context.Context, database *db.DB, wanted *model.Diff) (io.ReadCloser, error) {
	var dir drivers.InspectedLayer
	var split model.Content
	var driver string
	err := database.View(ctx, func(tx *db.ReadTx) error {
		info, err := tx.Info()
		if err != nil {
			return err
		}
		driver = info.Driver
		layers, err := tx.LayersByDigest(db.DiffDigest, wanted.Digest)
		if err != nil {
			return err
		}
		for _, l := range layers {
			if l.Made && !l.Incomplete && l.Diff != nil && l.Diff.TarSplit != nil {
				dir.Dir, split = l.DriverDir(), *l.Diff.TarSplit
				dir.Below, dir.Cut, err = ancestors(tx, l)
				return err
			}
		}
		return model.ErrNotFound
	})
	if err != nil {
		return nil, err
	}
	return s.replay(ctx, driver, dir, split)
}

// ancestors returns the directories of a layer's ancestors, the nearest first.
func ancestors(tx *db.ReadTx, l *model.Layer) (dirs []string, cut bool, err error) {
	seen := map[model.LayerID]bool{l.ID: true}
	for id := l.Parent; id != ""; {
		parent, err := tx.Layer(id)
		if errors.Is(err, model.ErrNotFound) || errors.Is(err, model.ErrCorrupt) || seen[id] {
			return dirs, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		seen[id] = true
		dirs = append(dirs, parent.DriverDir())
		id = parent.Parent
	}
	return dirs, false, nil
}

// replay starts to write a diff.
func (s storeSource) replay(ctx context.Context, driver string, dir drivers.InspectedLayer, split model.Content) (io.ReadCloser, error) {
	entry, known := builtin.Registry().Find(driver)
	if !known || entry.Inspect == nil {
		return nil, fmt.Errorf("store %s: %w: driver %s", s, model.ErrUnsupported, driver)
	}
	home, err := entry.Inspect(ctx, filepath.Join(string(s), entry.Name), nil)
	if err != nil {
		return nil, err
	}
	files, err := content.Open(string(s))
	if err != nil {
		return nil, errors.Join(err, home.Close())
	}
	return pipeline.Start(ctx, func(ctx context.Context, w io.Writer) error {
		return errors.Join(fsck.Replay(ctx, w, files, split, home, dir), files.Close(), home.Close())
	}), nil
}
