package overlay

import (
	"context"
	"errors"
	"io/fs"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// inspectedHome is a home with its short names.
type inspectedHome struct {
	layers *drivers.LayerDirs
	// links is linkDir, nil if there is none.
	links *at.Dir
	// targets has the layers that the short names in linkDir lead to, and names
	// the first short name of each of those layers.
	targets map[link]string
	names   map[string]link
	// noted has what the layers say themselves, once that was needed.
	noted map[link]string
}

// inspectHome reads the short names of a home.
func inspectHome(ctx context.Context, layers *drivers.LayerDirs) (_ *inspectedHome, err error) {
	h := &inspectedHome{layers: layers, targets: make(map[link]string), names: make(map[string]link)}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if there, err := h.layers.IsDir(linkDir); err != nil || !there {
		return h, err
	}
	if h.links, err = h.layers.Sub(linkDir); err != nil {
		return nil, err
	}
	entries, err := h.links.Entries()
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := h.noteTarget(entry); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// noteTarget notes where a short name leads to, if it is one.
func (h *inspectedHome) noteTarget(entry fs.DirEntry) error {
	name, err := parseLink(entry.Name())
	if err != nil {
		return nil //nolint:nilerr // Leftovers lists it.
	}
	id, err := readTarget(h.links, name)
	if err != nil {
		if errors.Is(err, model.ErrCorrupt) {
			err = nil // the same
		}
		return err
	}
	h.targets[name] = id
	if _, named := h.names[id]; !named {
		h.names[id] = name
	}
	return nil
}

// writtenLink returns the short name that is written down in the directory of a
// layer, or "".
func (h *inspectedHome) writtenLink(id string) (name link, err error) {
	dir, fault, err := h.layers.Inspect(id)
	if err != nil || fault != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	name, err = readLink(dir)
	if errors.Is(err, model.ErrCorrupt) {
		return "", nil
	}
	return name, err
}

// layerOf returns the layer that a short name leads to, as a driver would find it
// in the home of another store, or "".
func (h *inspectedHome) layerOf(ctx context.Context, name link) (id string, err error) {
	if target := h.targets[name]; target != "" {
		if there, err := h.layers.IsDir(target); err != nil || there {
			return target, err
		}
	}
	if h.noted == nil {
		if h.noted, err = notes(ctx, h.layers); err != nil {
			return "", err
		}
	}
	return h.noted[name], nil
}

func (h *inspectedHome) close() error {
	err := h.layers.Close()
	if h.links != nil {
		err = errors.Join(err, h.links.Close())
	}
	return err
}

// openOthers opens the homes of other stores.
func (i *inspector) openOthers(ctx context.Context, paths []string) error {
	opened, missing, err := drivers.OpenOthers(paths)
	if err != nil {
		return err
	}
	i.complete = paths != nil && !missing
	for n, layers := range opened {
		other, err := inspectHome(ctx, layers)
		if err != nil {
			for _, rest := range opened[n+1:] {
				err = errors.Join(err, rest.Close())
			}
			return err
		}
		i.others = append(i.others, other)
	}
	return nil
}

// homeOf returns the first home that has the directory of a layer, or the one
// that is being inspected.
func (i *inspector) homeOf(id string) (*inspectedHome, error) {
	if there, err := i.layers.IsDir(id); err != nil || there {
		return i.inspectedHome, err
	}
	for _, other := range i.others {
		if there, err := other.layers.IsDir(id); err != nil || there {
			return other, err
		}
	}
	return i.inspectedHome, nil
}

// foreignLayer returns the layer in the home of another store that a short name
// leads to, and that home, or nil.
func (i *inspector) foreignLayer(ctx context.Context, name link) (id string, home *inspectedHome, err error) {
	for _, other := range i.others {
		if id, err := other.layerOf(ctx, name); err != nil || id != "" {
			return id, other, err
		}
	}
	return "", nil, nil
}

// firstLost returns the first of some short names that leads to no layer in any
// home, if all homes are known, or else "".
func (i *inspector) firstLost(ctx context.Context, names []link) (link, error) {
	if !i.complete {
		return "", nil
	}
	for _, name := range names {
		if own, err := i.layerOf(ctx, name); err != nil {
			return "", err
		} else if own != "" {
			continue
		}
		if _, home, err := i.foreignLayer(ctx, name); err != nil || home == nil {
			return name, err
		}
	}
	return "", nil
}
