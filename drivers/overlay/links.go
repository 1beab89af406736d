package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// withLinks calls f with the directory of the short names. It is opened anew
// each time, for an operator may have replaced it.
func (d *Driver) withLinks(f func(links *at.Dir) error) (err error) {
	links, err := d.layers.Sub(linkDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, links.Close()) }()
	return f(links)
}

// linkOf returns the layer's short name after making sure that it leads to the
// layer. A lost one is restored; if it is lost for good the layer gets a new
// one. In the home of another store nothing is restored.
func (d *Driver) linkOf(ctx context.Context, layer *drivers.Located) (name link, err error) {
	if layer.Foreign {
		lookup := d.newLookup(layer.Search)
		defer func() { err = errors.Join(err, lookup.close()) }()
		return lookup.foreignLink(ctx, layer)
	}
	err = d.withLinks(func(links *at.Dir) error {
		if name, err = checkLink(links, layer.ID, layer.Dir); !errors.Is(err, errNoLink) {
			return err
		}
		if err := d.mendLinks(ctx, links); err != nil {
			return err
		}
		if name, err = checkLink(links, layer.ID, layer.Dir); !errors.Is(err, errNoLink) {
			return err
		}
		name = newLink()
		return errors.Join(writeLink(layer.Dir, name), links.Symlink(linkTarget(layer.ID), string(name)))
	})
	return name, err
}

// checkLink returns the short name written down in the layer's directory if it
// leads to the layer.
func checkLink(links *at.Dir, id string, layer *at.Dir) (link, error) {
	name, err := readLink(layer)
	if err != nil {
		return "", err
	}
	target, err := readTarget(links, name)
	if err == nil && target != id {
		err = fmt.Errorf("%w: its short name %s leads to layer %q", model.ErrCorrupt, name, target)
	}
	return name, err
}

// writeLink writes the short name down in the layer's directory.
func writeLink(layer *at.Dir, name link) error {
	temp := partLinkFile + string(name)
	if err := layer.WriteFile(temp, []byte(name), linkFileMode); err != nil {
		return err
	}
	return layer.Rename(temp, linkFile)
}

// mendLinks restores short names that are lost on one side: what is written
// down in a layer's directory but missing in linkDir, and the reverse. That is
// what remains of a store whose machine lost power, or that was copied without
// care for symbolic links. Links that lead to no layer's content are removed,
// except those to a layer that does not exist: it may be in the making.
func (d *Driver) mendLinks(ctx context.Context, links *at.Dir) error {
	if err := d.mendFromLinks(ctx, links); err != nil {
		return fmt.Errorf("restoring short names: %w", err)
	}
	if err := d.mendFromLayers(ctx, links); err != nil {
		return fmt.Errorf("restoring short names: %w", err)
	}
	return nil
}

// mendFromLinks writes short names down in directories of layers that have
// none.
func (d *Driver) mendFromLinks(ctx context.Context, links *at.Dir) error {
	entries, err := links.Entries()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if entry.Type() != fs.ModeSymlink {
			continue
		}
		name, err := parseLink(entry.Name())
		id := ""
		if err == nil {
			id, err = readTarget(links, name)
		}
		switch {
		case errors.Is(err, errNoLink): // removed meanwhile
			continue
		case errors.Is(err, model.ErrCorrupt):
			err = links.Remove(entry.Name())
		case err == nil:
			err = d.onLayer(id, func(layer *at.Dir) error {
				if _, err := readLink(layer); !errors.Is(err, errNoLink) {
					return nil
				}
				return writeLink(layer, name)
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mendFromLayers makes the links for the short names that are written down.
func (d *Driver) mendFromLayers(ctx context.Context, links *at.Dir) error {
	ids, err := d.layers.List()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := d.onLayer(id, func(layer *at.Dir) error {
			name, err := readLink(layer)
			if err != nil {
				return nil //nolint:nilerr // a damaged layer has no name that could be used
			}
			if err := links.Symlink(linkTarget(id), string(name)); !errors.Is(err, fs.ErrExist) {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// onLayer calls f with the directory of a layer, if the layer exists and is
// sound enough to have one.
func (d *Driver) onLayer(id string, f func(layer *at.Dir) error) (err error) {
	layer, err := d.layers.Layer(id)
	if errors.Is(err, model.ErrLayerUnknown) || errors.Is(err, model.ErrCorrupt) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	return f(layer)
}

// forgetLink removes the short name of a layer that is being removed. One that
// leads to another layer stays, whatever the layer's directory says.
func (d *Driver) forgetLink(id string, layer *at.Dir) error {
	return d.ifLinks(func(links *at.Dir) error {
		if name, err := readLink(layer); err == nil {
			if removed, err := unlinkIfOf(links, name, id); err != nil || removed {
				return err
			}
		}
		return forgetLinks(links, id)
	})
}

// forgetLinks removes the short names that lead to a layer, of which nothing
// tells what they are.
func forgetLinks(links *at.Dir, id string) error {
	entries, err := links.Entries()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name, err := parseLink(entry.Name()); err == nil {
			if _, err := unlinkIfOf(links, name, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// ifLinks is withLinks for those who have nothing to do where there is no
// directory of short names.
func (d *Driver) ifLinks(f func(links *at.Dir) error) error {
	if exists, err := d.layers.IsDir(linkDir); err != nil || !exists {
		return err
	}
	return d.withLinks(f)
}

// unlinkIfOf removes a short name if it leads to the layer.
func unlinkIfOf(links *at.Dir, name link, id string) (removed bool, err error) {
	if target, err := readTarget(links, name); err != nil || target != id {
		return false, nil //nolint:nilerr // missing, or not this layer's
	}
	return true, links.Remove(string(name))
}
