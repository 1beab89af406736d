package graph

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// mountedLayer returns the layer that ref means for Unmount.
func (s *Store) mountedLayer(ctx context.Context, ref string) (id model.LayerID, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		id, _, err = tx.mountTarget(ref, MountOptions{})
		return err
	})
	if !errors.Is(err, model.ErrLayerUnknown) || !filepath.IsAbs(ref) {
		return id, err
	}
	mounts, errMounts := s.Mounts(ctx)
	for _, m := range mounts {
		if m.Path == filepath.Clean(ref) {
			return m.Layer, nil
		}
	}
	return "", errors.Join(err, errMounts)
}

// Mounted returns how often a container's layer, or a layer, is mounted.
func (s *Store) Mounted(ctx context.Context, ref string) (uint64, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	id, err := s.mountedLayer(ctx, ref)
	if err != nil {
		return 0, err
	}
	m, err := s.MountOf(ctx, id)
	if err != nil || m == nil {
		return 0, err
	}
	return m.Count, nil
}

// MountOf returns how a layer is mounted, or nil if it is not.
func (s *Store) MountOf(ctx context.Context, id model.LayerID) (*db.Mount, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	l, home, err := s.layerAt(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := home.mountOf(ctx, l)
	return m, model.OnObject(model.KindLayer, id, err)
}

// mountOf returns how a layer is mounted, or nil if it is not. The run database
// has the count, but the kernel has the last word: what it does not show is
// not mounted, whoever unmounted it, and what it shows is, even if nobody came
// to note it.
func (s *Store) mountOf(ctx context.Context, l *model.Layer) (*db.Mount, error) {
	if !l.Made {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	var noted *db.Mount
	err := s.run.View(ctx, func(tx *db.RunTx) (err error) {
		noted, err = tx.Mount(l.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	path, mounted, err := s.driver.Mountpoint(ctx, l.DriverDir())
	if noted != nil && noted.Path != path {
		noted = nil // it is about a deleted layer that had this ID
	}
	switch {
	case errors.Is(err, model.ErrLayerUnknown):
		return nil, nil //nolint:nilnil // Its directory is lost; fsck says so.
	case err != nil:
		return nil, err
	case noted != nil && noted.Kernel && !mounted:
		return nil, nil //nolint:nilnil // See the comment above.
	case noted == nil && mounted:
		return &db.Mount{Layer: l.ID, Path: path, Count: 1, Kernel: true}, nil
	}
	return noted, nil
}

// Mounts returns all layers that are mounted, ordered by ID.
func (s *Store) Mounts(ctx context.Context) ([]db.Mount, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	var candidates []model.LayerID
	for _, home := range s.owner.homes() {
		some, err := home.mountCandidates(ctx)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, some...)
	}
	slices.Sort(candidates)
	var mounts []db.Mount
	for _, id := range slices.Compact(candidates) {
		m, err := s.MountOf(ctx, id)
		if ignoreNotFound(err) != nil {
			return nil, err
		}
		if m != nil {
			mounts = append(mounts, *m)
		}
	}
	return mounts, nil
}

// mountCandidates returns the layers that may be mounted.
func (s *Store) mountCandidates(ctx context.Context) ([]model.LayerID, error) {
	candidates, err := s.kernelMounts()
	if err != nil {
		return nil, err
	}
	return candidates, s.run.View(ctx, func(tx *db.RunTx) error {
		noted, err := tx.Mounts()
		for _, m := range noted {
			candidates = append(candidates, m.Layer)
		}
		return err
	})
}

// kernelMounts returns the layers that may have a mount below the home of the
// driver, or, if they are those of other stores, below its directory in the run root. Nobody need have noted it: its author may have died first, and a run
// root may be cleaned.
func (s *Store) kernelMounts() ([]model.LayerID, error) {
	var ids []model.LayerID
	for _, root := range []string{s.options.Root, s.options.RunRoot} {
		home, err := filepath.EvalSymlinks(filepath.Join(root, s.info.Driver))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(home))
		if err != nil {
			return nil, err
		}
		for _, m := range mounts {
			// Where in its home the driver has its mount points is its affair.
			for dir := range strings.SplitSeq(strings.TrimPrefix(m.Mountpoint, home), "/") {
				if id, err := model.ParseLayerDir(dir); err == nil {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids, nil
}
