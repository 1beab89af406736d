package overlay

import (
	"context"
	"errors"
	"fmt"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/drivers/internal/project"
	"github.com/csdb/csdb/model"
)

// baseMode is the mode of the root directory of a layer without parent, until
// a diff says otherwise.
const baseMode = 0o555

// plan is what a new layer is to look like.
type plan struct {
	link  link
	lower []link // of the ancestors, nearest first

	// owner has the directories around the content, which itself belongs to
	// contentOwner and has contentMode.
	owner, contentOwner drivers.Owner
	contentMode         uint32
}

// Create makes the directory of a layer: content, work directory and mount
// point, and the files that name the layer and its ancestors. Layers may be
// deeper than can be mounted.
func (d *Driver) Create(ctx context.Context, id, parent string, opts drivers.CreateOptions) error {
	quota, err := d.quotaOf(opts)
	if err != nil {
		return err
	}
	owner, err := drivers.Root(opts.UIDMap, opts.GIDMap)
	if err != nil {
		return err
	}
	layer := plan{link: newLink(), owner: owner, contentOwner: owner, contentMode: baseMode}
	if parent != "" {
		if err := d.inherit(ctx, parent, &layer); err != nil {
			return fmt.Errorf("parent: %w", model.OnObject(model.KindLayer, parent, err))
		}
	}
	if err := d.homes.Vacant(id); err != nil {
		return err
	}
	linked, limited := false, project.None
	err = d.layers.Build(ctx, id, func(dir *at.Dir) (err error) {
		if err := errors.Join(d.makeContent(dir, &layer), layer.write(dir)); err != nil {
			return err
		}
		if limited, err = d.limit(dir, quota); err != nil {
			return err
		}
		linked = true
		return d.withLinks(func(links *at.Dir) error { return links.Symlink(linkTarget(id), string(layer.link)) })
	})
	if err != nil && linked {
		unlink := func(links *at.Dir) error { return links.Remove(string(layer.link)) }
		err = errors.Join(err, d.withLinks(unlink))
	}
	if err != nil {
		err = errors.Join(err, d.freeProject(limited))
	}
	return err
}

// inherit takes from the parent what a layer on top of it needs.
func (d *Driver) inherit(ctx context.Context, parent string, layer *plan) (err error) {
	dir, err := d.find(parent)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	content, err := d.openPart(dir, contentDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	stat, err := content.Stat(".")
	if err != nil {
		return err
	}
	layer.contentMode = stat.Mode & 0o7777
	layer.contentOwner = drivers.Owner{UID: int(stat.Uid), GID: int(stat.Gid)}
	if err := d.inheritForced(content, layer); err != nil {
		return err
	}

	name, err := d.linkOf(ctx, dir)
	if err != nil {
		return err
	}
	ancestors, err := readLower(dir.Dir)
	if err != nil {
		return err
	}
	layer.lower = append([]link{name}, ancestors...)
	if deep := len(formatLower(layer.lower)); deep > maxLower {
		return fmt.Errorf("layer has %d ancestors: %w", len(ancestors), model.ErrUnsupported)
	}
	return nil
}

// write makes what else is in the layer's directory.
func (p *plan) write(dir *at.Dir) error {
	steps := []func() error{
		func() error { return dir.Mkdir(workDir, 0o700, p.owner.UID, p.owner.GID) },
		func() error { return dir.Mkdir(mergedDir, 0o700, p.owner.UID, p.owner.GID) },
	}
	if len(p.lower) == 0 {
		steps = append(steps, func() error { return dir.Mkdir(emptyDir, 0o700, p.owner.UID, p.owner.GID) })
	} else {
		steps = append(steps, func() error { return dir.WriteFile(lowerFile, []byte(formatLower(p.lower)), lowerFileMode) })
	}
	steps = append(steps, func() error { return dir.WriteFile(linkFile, []byte(p.link), linkFileMode) })
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
