package fsck

import (
	"context"

	"github.com/csdb/csdb/model"
)

// ref names an object.
type ref struct {
	kind model.Kind
	id   string
}

// users tells what uses what, and what it is called. All of it comes from the
// records themselves, because the indexes may be damaged; only the names of
// objects whose record is damaged come from there.
type users struct {
	children map[model.LayerID][]model.LayerID
	images   map[model.LayerID][]string // by their top layers
	onLayer  map[model.LayerID][]string // containers
	onImage  map[model.ImageID][]string // containers
	names    map[ref][]string

	// budget is how many layers may still be visited and objects listed for
	// all findings together.
	budget int
}

// loadUsers reads all records once.
func (c *checker) loadUsers(ctx context.Context) (*users, error) {
	u := &users{
		children: make(map[model.LayerID][]model.LayerID),
		images:   make(map[model.LayerID][]string),
		onLayer:  make(map[model.LayerID][]string),
		onImage:  make(map[model.ImageID][]string),
		names:    make(map[ref][]string),
		budget:   maxEffort,
	}
	err := c.tx.EachLayer(func(l *model.Layer) error {
		u.names[ref{model.KindLayer, string(l.ID)}] = l.Names
		u.children[l.Parent] = append(u.children[l.Parent], l.ID)
		return context.Cause(ctx)
	})
	if intact(err) != nil {
		return nil, err
	}
	err = c.tx.EachImage(func(i *model.Image) error {
		u.names[ref{model.KindImage, string(i.ID)}] = i.Names
		for _, layer := range i.TopLayers() {
			u.images[layer] = append(u.images[layer], string(i.ID))
		}
		return context.Cause(ctx)
	})
	if intact(err) != nil {
		return nil, err
	}
	err = c.tx.EachContainer(func(r *model.Container) error {
		u.names[ref{model.KindContainer, string(r.ID)}] = r.Names
		u.onLayer[r.Layer] = append(u.onLayer[r.Layer], string(r.ID))
		u.onImage[r.Image] = append(u.onImage[r.Image], string(r.ID))
		return context.Cause(ctx)
	})
	if intact(err) != nil {
		return nil, err
	}
	return u, c.loadLostNames(ctx, u)
}

// loadLostNames adds the names of objects whose records cannot be read.
func (c *checker) loadLostNames(ctx context.Context, u *users) error {
	for _, kind := range model.Kinds {
		lost := make(map[string][]string)
		err := c.tx.EachName(kind, func(name, id string) error {
			if _, readable := u.names[ref{kind, id}]; !readable {
				lost[id] = append(lost[id], name)
			}
			return context.Cause(ctx)
		})
		if intact(err) != nil {
			return err
		}
		for id, names := range lost {
			u.names[ref{kind, id}] = names
		}
	}
	return nil
}

// object returns an object with its names.
func (u *users) object(kind model.Kind, id string) Object {
	return Object{Kind: kind, ID: id, Names: u.names[ref{kind, id}]}
}

// Of a layer that everything lies on nobody reads the whole list, and of a
// store in which everything is broken not all lists: so there are bounds, lest
// a report take longer and become larger than the store itself.
const (
	// maxAffected is how many images, and how many containers, a finding
	// lists.
	maxAffected = 1000
	// maxEffort is how many layers are visited and objects listed for a whole
	// report.
	maxEffort = 5_000_000
)

// affected collects the images and containers that suffer when an object does.
// alone means that layers on top of a layer do not.
func (u *users) affected(f *Finding, alone bool) {
	images, containers := make(map[string]bool), make(map[string]bool)
	switch o := f.Object; o.Kind {
	case model.KindLayer:
		f.More = u.onTop(model.LayerID(o.ID), alone, images, containers)
	case model.KindImage:
		images[o.ID] = true
		note(containers, u.onImage[model.ImageID(o.ID)])
	case model.KindContainer:
		containers[o.ID] = true
	}
	f.Images = u.list(f, model.KindImage, images)
	f.Containers = u.list(f, model.KindContainer, containers)
}

// onTop collects what uses a layer or, unless it is meant alone, one of its
// descendants. It returns true if there may be more.
func (u *users) onTop(layer model.LayerID, alone bool, images, containers map[string]bool) (more bool) {
	seen := map[model.LayerID]bool{layer: true}
	for pending := []model.LayerID{layer}; len(pending) > 0; {
		next := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		note(images, u.images[next])
		note(containers, u.onLayer[next])
		if alone {
			break
		}
		for _, child := range u.children[next] {
			if u.budget <= 0 {
				return true
			}
			if !seen[child] {
				u.budget--
				seen[child] = true
				pending = append(pending, child)
			}
		}
	}
	return false
}

func note(set map[string]bool, ids []string) {
	for _, id := range ids {
		set[id] = true
	}
}
