package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/dedup"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// DedupMethod says how files of one size are told apart before the kernel
// compares them. All methods come to the same result. "" means DedupCRC.
type DedupMethod = dedup.Method

// The methods, from the one that reads least to the one that compares least.
const (
	DedupSize   = dedup.Size   // not at all
	DedupCRC    = dedup.CRC    // by the CRC-64 of ECMA-182
	DedupSHA256 = dedup.SHA256 // by the SHA-256
)

// DedupOptions are what may be said about Dedup.
type DedupOptions struct {
	Method DedupMethod
	// DryRun finds out what could be shared, by SHA-256, and shares nothing.
	DryRun bool
	// Progress is told how many bytes of files have been dealt with.
	Progress db.Progress
}

// Deduplicated is what Dedup has done, or would do.
type Deduplicated struct {
	// Layers is how many layers were looked at.
	Layers int `json:"layers"`
	// Busy are layers that were left out because somebody was changing them.
	Busy []model.LayerID `json:"busy"`
	// Files is how many files have the size of another one and were compared,
	// each once, however many names it has.
	Files int64 `json:"files"`
	// Shared is how many of them share their content with another one of them,
	// which does not count itself, and Bytes how much content that is. Both are
	// what is so now, whoever made it so: a second run comes to the same.
	Shared int64 `json:"shared"`
	Bytes  int64 `json:"bytes"`
	// Skipped is how many of them could not be compared, or not with all others:
	// because they changed meanwhile, could not be read, or the kernel refused.
	// It depends on the method, which says what has to be compared.
	Skipped int64 `json:"skipped"`
}

// Dedup lets files of equal content in the layers of images share it on disk.
// What can be seen of the files stays as it is, their times too. Layers that
// belong to no image are left out, as containers' own are, and those that
// somebody is changing; until Dedup returns nobody removes the others or applies
// a diff to them. It may take as long as reading all files of the layers.
//
// If the driver or the file system cannot do it the error matches
// model.ErrUnsupported. Layers and files that cannot be read are errors, and do
// not keep others from being shared.
func (s *Store) Dedup(ctx context.Context, options DedupOptions) (d Deduplicated, err error) {
	d.Busy = []model.LayerID{}
	if err := s.writable(); err != nil {
		return d, err
	}
	if _, ok := s.driver.(drivers.TreeDriver); !ok {
		return d, fmt.Errorf("sharing content of files: %w by the driver %s", model.ErrUnsupported, s.info.Driver)
	}
	layers, errRecords := s.imageLayers(ctx)
	lock, err := tryLockLayers(layers, func(busy homeLayer) { d.Busy = append(d.Busy, busy.ID) })
	defer lock.unlock(ctx)
	if err != nil {
		return d, errors.Join(errRecords, err)
	}
	layers, err = s.unchanged(ctx, layers, d.Busy)
	if err != nil {
		return d, errors.Join(errRecords, err)
	}
	trees, errTrees := openTrees(ctx, layers)
	defer func() {
		for _, t := range trees {
			err = errors.Join(err, t.Dir.Close())
		}
	}()
	d.Layers = len(trees)
	result, err := dedup.Run(ctx, trees, dedup.Options{Method: options.Method, DryRun: options.DryRun, Progress: options.Progress})
	d.Files, d.Shared, d.Bytes, d.Skipped = result.Files, result.Shared, result.Bytes, result.Skipped
	if err != nil {
		err = fmt.Errorf("layers in %s: %w", s.driverHome(), err)
	}
	return d, errors.Join(errRecords, errTrees, err)
}

// homeLayer is a layer with the store that has its content.
type homeLayer struct {
	*model.Layer

	home *Store
}

// imageLayers returns the layers of all images, in the order of their creation.
// If some records are damaged, it returns what the others tell, and an error.
func (s *Store) imageLayers(ctx context.Context) (layers []homeLayer, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		images, err := tx.Images()
		seen := make(map[model.LayerID]bool)
		for _, image := range images {
			for _, top := range image.TopLayers() {
				chain, errChain := tx.chain(top, seen)
				err = errors.Join(err, errChain)
				for _, l := range chain {
					at, errPlace := tx.db.placeOf(l.ID)
					err = errors.Join(err, errPlace)
					if at != nil && at.own() {
						layers = append(layers, homeLayer{l, at.home})
					}
				}
			}
		}
		return err
	})
	slices.SortFunc(layers, func(a, b homeLayer) int { return cmp.Compare(a.Seq, b.Seq) })
	return layers, err
}

// tryLockLayers takes the locks on the contents of layers for reading, as far as
// it can have them at once. The lock is to be given back in any case.
func tryLockLayers(layers []homeLayer, busy func(homeLayer)) (*layerLock, error) {
	held := &layerLock{}
	for _, l := range layers {
		lock, err := l.home.keys.TryLock(contentKey(l.ID), flock.Shared)
		if err != nil {
			return held, model.OnObject(model.KindLayer, l.ID, err)
		}
		if lock == nil {
			busy(l)
			continue
		}
		held.add(l.home, l.ID, lock)
	}
	return held, nil
}

// unchanged returns those of the layers that have files, now that they are
// locked: they may have been deleted before.
func (s *Store) unchanged(ctx context.Context, layers []homeLayer, busy []model.LayerID) (now []homeLayer, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		for _, before := range layers {
			l, err := tx.db.Layer(before.ID)
			if errors.Is(err, model.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if l.Seq == before.Seq && l.Made && !l.Incomplete && l.Damaged() == nil && !slices.Contains(busy, l.ID) {
				now = append(now, homeLayer{l, before.home})
			}
		}
		return nil
	})
	return now, err
}

// openTrees opens the directories of layers. It leaves out what cannot be
// opened, and returns an error for that.
func openTrees(ctx context.Context, layers []homeLayer) (trees []dedup.Tree, err error) {
	for _, l := range layers {
		driver, ok := l.home.driver.(drivers.TreeDriver)
		if !ok {
			continue // its store has been found to have one
		}
		dir, errTree := driver.Tree(ctx, l.DriverDir())
		if errTree != nil {
			err = errors.Join(err, model.OnObject(model.KindLayer, l.ID, errTree))
			continue
		}
		trees = append(trees, dedup.Tree{Name: "layer " + string(l.ID), Dir: dir})
	}
	return trees, err
}
