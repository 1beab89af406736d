package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/csdb/csdb/drivers/internal/at"
)

// Replace gives the directory of a layer to another one, which keeps its short
// name: the layers on top of it know it by that.
func (d *Driver) Replace(_ context.Context, id, from string) (err error) {
	if err := errors.Join(d.homes.NotElsewhere(id), d.homes.NeedOwn(from)); err != nil {
		return err
	}
	dir, err := d.layers.Layer(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return d.withLinks(func(links *at.Dir) error {
		name, err := d.nameOf(links, id)
		if errors.Is(err, errNoLink) {
			name, err = spareLink(id), nil
		}
		if err == nil {
			err = writeLink(dir, name)
		}
		if err != nil {
			return fmt.Errorf("short name: %w", err)
		}
		if err := d.layers.Replace(id, from); err != nil {
			return err
		}
		return lead(links, name, id)
	})
}

// nameOf returns the short name of a layer whose directory may be damaged or
// gone: the one that is written down there, or else one that leads to it.
func (d *Driver) nameOf(links *at.Dir, id string) (name link, err error) {
	err = d.onLayer(id, func(layer *at.Dir) error {
		written, err := checkLink(links, id, layer)
		if err == nil || errors.Is(err, errNoLink) {
			name = written // "" if it is not
		}
		return nil
	})
	if err != nil || name != "" {
		return name, err
	}
	return firstLink(links, id)
}

// firstLink returns the first short name that leads to a layer.
func firstLink(links *at.Dir, id string) (link, error) {
	entries, err := links.Entries()
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if name, err := parseLink(entry.Name()); err == nil {
			if target, err := readTarget(links, name); err == nil && target == id {
				return name, nil
			}
		}
	}
	return "", errNoLink
}

// lead makes a short name lead to a layer.
func lead(links *at.Dir, name link, id string) error {
	if target, err := readTarget(links, name); err == nil && target == id {
		return nil
	}
	if err := links.Remove(string(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return links.Symlink(linkTarget(id), string(name))
}
