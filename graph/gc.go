package graph

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/flock"
	"github.com/csdb/csdb/model"
)

// GCOptions say what Collect may remove.
type GCOptions struct {
	// DryRun finds out what would be removed, and removes nothing.
	DryRun bool
	// Unused says which images and layers are to be deleted. Nil means none:
	// only what has no record any more, or never had one, is removed.
	Unused *UnusedPolicy
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Progress is told how much has been measured, and how much of it removed.
	Progress db.Progress
}

// UnusedPolicy says which images and layers are to be deleted although they have
// a record. An image that a container was made from is never among them, nor
// is a layer that an image or a container needs, one that has a name, or one
// that is mounted. What is leased stays in any case.
type UnusedPolicy struct {
	// For is how long ago the last use must be. The journal tells: the last
	// change of an object, and the deletion of a container made from an image,
	// count as uses. What it does not tell any more is older than its oldest
	// entry.
	For time.Duration
	// KeepLast is how many images are kept in any case: those that came last.
	KeepLast int
	// Keep has names and IDs of images that are kept in any case, and patterns
	// of names, see path.Match.
	Keep []string
}

// Collected is what Collect has removed, or would remove. Sizes are in bytes, as
// measured on disk.
type Collected struct {
	Images []CollectedObject `json:"images"`
	Layers []CollectedObject `json:"layers"`
	// Debris is content without a record.
	Debris []Debris `json:"debris"`
	// Busy has the paths of content without a record that somebody is at work
	// on. It stays.
	Busy []string `json:"busy"`
	// Leased has what the policy would have deleted if it were not leased.
	Leased []LeasedObject `json:"leased"`
	// Expired has the IDs of leases that had expired.
	Expired []string `json:"expired-leases"`
	Freed   int64    `json:"freed"`
}

// CollectedObject is an image or a layer that is deleted.
type CollectedObject struct {
	Kind  model.Kind `json:"kind"`
	ID    string     `json:"id"`
	Names []string   `json:"names"`
	// LastUse is when it was used last, or the earliest time that is known.
	LastUse time.Time `json:"last-use"`
	// Layers go with an image.
	Layers []model.LayerID `json:"layers,omitempty"`
	Size   int64           `json:"size"`
}

// LeasedObject is an image or a layer that stays because it is leased.
type LeasedObject struct {
	Kind  model.Kind `json:"kind"`
	ID    string     `json:"id"`
	Names []string   `json:"names"`
	Lease Lease      `json:"lease"`
}

// Debris is content without a record.
type Debris struct {
	Path  string `json:"path"`  // relative to the root of the store; whole if it is in the image store
	Trash bool   `json:"trash"` // a deletion left it; otherwise a process that died
	Size  int64  `json:"size"`
}

// Collect removes what nobody needs: what Recover removes, leases that have
// expired, and, if there is a policy, images and layers. It may run at any time, beside others. It goes on
// after errors, and returns them all.
func (s *Store) Collect(ctx context.Context, options GCOptions) (*Collected, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	if options.Unused != nil {
		if err := options.Unused.validate(); err != nil {
			return nil, err
		}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	c := &Collected{
		Images: []CollectedObject{}, Layers: []CollectedObject{}, Debris: []Debris{}, Busy: []string{},
		Leased: []LeasedObject{}, Expired: []string{},
	}
	errs := []error{s.collectLeases(ctx, options, c)}
	if options.Unused != nil {
		errs = append(errs, s.collectUnused(ctx, options, c))
	}
	for _, home := range s.homes() {
		some := &Collected{}
		errs = append(errs, home.collectDebris(ctx, options, some))
		for _, d := range some.Debris {
			d.Path = home.called(d.Path)
			c.Debris = append(c.Debris, d)
		}
		for _, path := range some.Busy {
			c.Busy = append(c.Busy, home.called(path))
		}
	}
	slices.Sort(c.Busy)
	for _, o := range slices.Concat(c.Images, c.Layers) {
		c.Freed += o.Size
	}
	for _, d := range c.Debris {
		c.Freed += d.Size
	}
	return c, errors.Join(errs...)
}

// called returns what the path of content is called towards those who know the
// graph root.
func (s *Store) called(path string) string {
	if s.owner == s {
		return path
	}
	return filepath.Join(s.options.Root, path)
}

// collectDebris removes what has no record.
func (s *Store) collectDebris(ctx context.Context, options GCOptions, c *Collected) error {
	found, err := s.debris(ctx, options.Progress)
	if err != nil {
		return err
	}
	if options.DryRun {
		for _, d := range found {
			held, err := s.keys.Held(pathKey(d.Path), flock.Exclusive)
			if err != nil {
				return err
			}
			if held {
				c.Busy = append(c.Busy, d.Path)
			} else {
				c.Debris = append(c.Debris, d)
			}
		}
		return nil
	}
	var total int64
	sizes := make(map[string]int64, len(found))
	for _, d := range found {
		sizes[d.Path] = d.Size
		total += d.Size
	}
	done := options.Progress.Start("removing", total)
	r := &recovery{removed: func(path string) { done(sizes[path]) }}
	err = s.recover(ctx, r)
	c.Busy = append(c.Busy, r.Busy...)
	gone := make(map[string]bool)
	for _, path := range slices.Concat(r.Trash, r.Staged, r.Strays) {
		gone[path] = true
	}
	for _, d := range found {
		if gone[d.Path] {
			c.Debris = append(c.Debris, d)
		}
	}
	return err
}

// debris lists and measures what has no record at this moment.
func (s *Store) debris(ctx context.Context, progress db.Progress) (all []Debris, err error) {
	trash, err := s.allTrash(ctx)
	if err != nil {
		return nil, err
	}
	strays, err := s.strays(ctx)
	if err != nil {
		return nil, err
	}
	done := progress.Start("measuring", -1)
	for _, t := range trash {
		size, err := s.sizeOnDisk(ctx, db.Staged{Path: t.Path, Kind: t.Kind, Dir: t.Dir})
		if err != nil {
			return nil, err
		}
		done(size)
		all = append(all, Debris{Path: t.Path, Trash: true, Size: size})
	}
	for _, e := range strays {
		size, err := s.sizeOnDisk(ctx, e)
		if err != nil {
			return nil, err
		}
		done(size)
		all = append(all, Debris{Path: e.Path, Size: size})
	}
	return all, nil
}

// sizeOnDisk returns the size of the files at a path, which need not exist any
// more.
func (s *Store) sizeOnDisk(ctx context.Context, e db.Staged) (size int64, err error) {
	if e.Kind == db.TrashLayer {
		if driver, ok := s.driver.(drivers.Measurer); ok {
			return driver.Measure(ctx, e.Dir)
		}
		return 0, nil
	}
	if size, err = s.files.Size(ctx, e.Path); err != nil || e.Kind != db.TrashTree {
		return size, err
	}
	err = s.onRunFiles(func(files *content.Files) error {
		inRun, err := files.Size(ctx, e.Path)
		size += inRun
		return err
	})
	return size, err
}
