package graph

import (
	"errors"
	"fmt"
	"time"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// jointTx is a joint that can be changed.
type jointTx struct{ *joint }

// Now is the time of the transaction.
func (j *jointTx) Now() time.Time { return j.main.tx.Now() }

// placeTo returns the place of an object that is to be changed. If that is in
// another store, the error matches model.ErrStoreIsReadOnly.
func (j *jointTx) placeTo(id model.ID) (*place, error) {
	p, err := j.placeOf(id)
	if err == nil && p.tx == nil {
		err = model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w: it is in the store %s", model.ErrStoreIsReadOnly, p.home.options.Root))
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// at returns the place of the store that has a role, or else the main one.
func (j *joint) at(role role) *place {
	for _, p := range j.own {
		if p.role == role {
			return p
		}
	}
	return j.main
}

// free returns an error if an object that is to be created in a place has an ID or
// a name that another place of the store has. An image may have the ID of one that
// is only read: it takes its place.
func (j *jointTx) free(in *place, id model.ID, names []string) error {
	for _, p := range j.all {
		if p == in || !p.own() && id.Kind() != model.KindLayer {
			continue
		}
		_, err := p.db.Names(id.Kind(), id.String())
		if err == nil {
			err = model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w in the store %s", model.ErrDuplicateID, p.home.options.Root))
		}
		if ignoreNotFound(err) != nil {
			return err
		}
	}
	for _, p := range j.order[id.Kind()] {
		if p == in || !p.own() {
			continue
		}
		for _, name := range names {
			owner, err := p.db.NameOwner(id.Kind(), name)
			if err == nil {
				err = model.OnObject(id.Kind(), owner, fmt.Errorf("name %q: %w", name, model.ErrDuplicateName))
			}
			if ignoreNotFound(err) != nil {
				return err
			}
		}
	}
	return nil
}

// CreateLayer makes the record of a layer in a place.
func (j *jointTx) CreateLayer(in *place, l *model.Layer) error {
	if err := j.free(in, l.ID, l.Names); err != nil {
		return err
	}
	if err := in.tx.CreateLayer(l); err != nil {
		return err
	}
	if err := j.refer(in, l.Parent); err != nil {
		_, _, errUndo := in.tx.DeleteLayer(l.ID)
		return errors.Join(err, errUndo)
	}
	return nil
}

// UpdateLayer changes the record of a layer, but not what it refers to.
func (j *jointTx) UpdateLayer(op db.Op, id model.LayerID, fn func(*model.Layer) error) (*model.Layer, error) {
	p, err := j.placeTo(id)
	if err != nil {
		return nil, err
	}
	return p.tx.UpdateLayer(op, id, fn)
}

// DeleteLayer removes the record of a layer from its place.
func (j *jointTx) DeleteLayer(p *place, id model.LayerID) (*model.Layer, []model.Content, error) {
	l, files, err := p.tx.DeleteLayer(id)
	if err == nil {
		err = j.unrefer(p, l.Parent)
	}
	return l, files, err
}

// CreateImage makes the record of an image.
func (j *jointTx) CreateImage(i *model.Image) error {
	in := j.at(roleImages)
	if err := j.free(in, i.ID, i.Names); err != nil {
		return err
	}
	if err := in.tx.CreateImage(i); err != nil {
		return err
	}
	if err := j.refer(in, i.TopLayer); err != nil {
		_, _, errUndo := in.tx.DeleteImage(i.ID)
		return errors.Join(err, errUndo)
	}
	return nil
}

// UpdateImage changes the record of an image.
func (j *jointTx) UpdateImage(op db.Op, id model.ImageID, fn func(*model.Image) error) (*model.Image, error) {
	p, err := j.placeTo(id)
	if err != nil {
		return nil, err
	}
	var before []model.LayerID
	after, err := p.tx.UpdateImage(op, id, func(i *model.Image) error {
		before = i.TopLayers()
		return fn(i)
	})
	if err != nil {
		return nil, err
	}
	return after, errors.Join(j.refer(p, layerIDs(after.TopLayers())...), j.unrefer(p, layerIDs(before)...))
}

// DeleteImage removes the record of an image from its place.
func (j *jointTx) DeleteImage(p *place, id model.ImageID) (*model.Image, []model.Content, error) {
	i, files, err := p.tx.DeleteImage(id)
	if err == nil {
		err = j.unrefer(p, layerIDs(i.TopLayers())...)
	}
	return i, files, err
}

// CreateContainer makes the record of a container in a place.
func (j *jointTx) CreateContainer(in *place, c *model.Container) error {
	if err := j.free(in, c.ID, c.Names); err != nil {
		return err
	}
	if err := in.tx.CreateContainer(c); err != nil {
		return err
	}
	if err := j.refer(in, c.Image); err != nil {
		_, _, errUndo := in.tx.DeleteContainer(c.ID)
		return errors.Join(err, errUndo)
	}
	return nil
}

// DeleteContainer removes the record of a container from its place.
func (j *jointTx) DeleteContainer(p *place, id model.ContainerID) (*model.Container, []model.Content, error) {
	c, files, err := p.tx.DeleteContainer(id)
	if err == nil {
		err = j.unrefer(p, c.Image)
	}
	return c, files, err
}

// rename has the names of an object replaced by what change returns, when they
// have been taken away from objects in other places that have one of them.
func (j *jointTx) rename(id model.ID, change func(p *place) ([]string, error), wanted ...string) ([]string, error) {
	p, err := j.placeTo(id)
	if err != nil {
		return nil, err
	}
	names, err := change(p)
	if err != nil {
		return nil, err
	}
	for _, other := range j.order[id.Kind()] {
		if other == p || other.tx == nil {
			continue
		}
		for _, name := range wanted {
			if err := other.tx.TakeName(id.Kind(), name); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// SetNames replaces the names of an object.
func (j *jointTx) SetNames(id model.ID, names []string) ([]string, error) {
	return j.rename(id, func(p *place) ([]string, error) { return p.tx.SetNames(id.Kind(), id.String(), names) }, names...)
}

// AddNames gives names to an object.
func (j *jointTx) AddNames(id model.ID, names []string) ([]string, error) {
	return j.rename(id, func(p *place) ([]string, error) { return p.tx.AddNames(id.Kind(), id.String(), names) }, names...)
}

// RemoveNames takes names away from an object.
func (j *jointTx) RemoveNames(id model.ID, names []string) ([]string, error) {
	return j.rename(id, func(p *place) ([]string, error) { return p.tx.RemoveNames(id.Kind(), id.String(), names) })
}

// SetMetadata replaces the metadata of an object.
func (j *jointTx) SetMetadata(id model.ID, text string) error {
	p, err := j.placeTo(id)
	if err != nil {
		return err
	}
	return p.tx.SetMetadata(id.Kind(), id.String(), text)
}
