package main

import (
	"errors"
	"slices"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// viewer follows references between records. What is damaged is noted and
// passed over.
type viewer struct {
	tx      *graph.ReadTx
	damaged *damages
	leased  leases
}

// What an object can be to its users.
const (
	asParent = "parent"
	asTop    = "top-layer"
	asMapped = "mapped-layer"
	asOwn    = "own-layer"
	asImage  = "image"
)

// references finds out about an object, and returns the layer that is mounted
// when it is.
func (v *viewer) references(id model.ID) (*references, model.LayerID, error) {
	about := &references{UsedBy: []user{}, Leases: append([]graph.Lease{}, v.leased[id]...)}
	var err error
	if about.brief, err = v.brief(id); err != nil {
		return nil, "", err
	}
	holds, err := v.tx.HoldsOn(id)
	if err := v.damaged.note(err); err != nil {
		return nil, "", err
	}
	about.Holds = append([]db.Hold{}, holds...)
	tops, err := v.users(about, id)
	if err != nil {
		return nil, "", err
	}
	if err := v.keep(about, id, tops); err != nil {
		return nil, "", err
	}
	about.conclude()
	return about, append(tops, "")[0], nil
}

// users adds what uses an object, and returns the layers that it has itself.
func (v *viewer) users(about *references, id model.ID) (tops []model.LayerID, err error) {
	switch id := id.(type) {
	case model.LayerID:
		return []model.LayerID{id}, v.usersOfLayer(about, id)
	case model.ImageID:
		return v.image(about, id)
	case model.ContainerID:
		return v.container(about, id)
	}
	return nil, nil
}

// brief returns the names of an object, which need not have a record.
func (v *viewer) brief(id model.ID) (brief, error) {
	b := brief{Kind: id.Kind(), ID: id.String()}
	all, err := v.tx.Names(id)
	if errors.Is(err, model.ErrNotFound) {
		err = nil
	}
	b.Names = list(all)
	return b, v.damaged.note(err)
}

func (v *viewer) image(about *references, id model.ImageID) (tops []model.LayerID, err error) {
	image, err := v.tx.ImageByID(id)
	if err != nil {
		return nil, err
	}
	containers, err := v.tx.ContainersOfImage(id)
	if err := v.damaged.note(err); err != nil {
		return nil, err
	}
	for _, c := range containers {
		if err := v.addUser(about, c, user{As: asImage, Blocks: true}); err != nil {
			return nil, err
		}
	}
	return image.TopLayers(), nil
}

func (v *viewer) container(about *references, id model.ContainerID) (tops []model.LayerID, err error) {
	c, err := v.tx.ContainerByID(id)
	if err != nil {
		return nil, err
	}
	if c.Image != "" {
		image, err := v.brief(c.Image)
		if err != nil {
			return nil, err
		}
		about.Keeps.Image = &image
	}
	about.Leases = append(about.Leases, v.leased[c.Layer]...)
	return []model.LayerID{c.Layer}, nil
}

func (v *viewer) addUser(about *references, id model.ID, u user) (err error) {
	u.brief, err = v.brief(id)
	about.UsedBy = append(about.UsedBy, u)
	return err
}

// usersOfLayer adds what uses a layer: what lies on it first, and what uses
// that.
func (v *viewer) usersOfLayer(about *references, id model.LayerID) error {
	seen := map[model.LayerID]bool{id: true}
	for pending := []model.LayerID{id}; len(pending) > 0; pending = pending[1:] {
		via := pending[0]
		children, err := v.tx.Children(via)
		if err := v.damaged.note(err); err != nil {
			return err
		}
		for _, child := range children {
			if err := v.addUser(about, child, user{As: asParent, Via: via, Blocks: via == id}); err != nil {
				return err
			}
			if !seen[child] {
				seen[child] = true
				pending = append(pending, child)
			}
		}
		if err := v.ownersOfLayer(about, via, via == id); err != nil {
			return err
		}
	}
	return nil
}

// ownersOfLayer adds the images and containers to which a layer belongs. Images
// of which it is only a variant of the top layer let go of it.
func (v *viewer) ownersOfLayer(about *references, layer model.LayerID, direct bool) error {
	images, err := v.tx.ImagesOfLayer(layer)
	if err := v.damaged.note(err); err != nil {
		return err
	}
	for _, id := range images {
		u := user{As: asMapped, Via: layer}
		image, err := v.tx.ImageByID(id)
		if err := v.damaged.note(err); err != nil {
			return err
		}
		if image == nil || image.TopLayer == layer {
			u.As, u.Blocks = asTop, direct
		}
		if err := v.addUser(about, id, u); err != nil {
			return err
		}
	}
	containers, err := v.tx.ContainersOfLayer(layer)
	if err := v.damaged.note(err); err != nil {
		return err
	}
	for _, id := range containers {
		if err := v.addUser(about, id, user{As: asOwn, Via: layer, Blocks: direct}); err != nil {
			return err
		}
	}
	return nil
}

// keep adds what an object keeps: its data items, and the given layers with
// those that they lie on.
func (v *viewer) keep(about *references, id model.ID, tops []model.LayerID) error {
	about.Keeps.Layers, about.Keeps.Data = []keptItem{}, []keptItem{}
	items, err := v.tx.Data(id)
	if err := v.damaged.note(err); err != nil {
		return err
	}
	if id.Kind() != model.KindLayer { // else they count as a part of the layer
		for _, item := range items {
			about.Keeps.Data = append(about.Keeps.Data, keptItem{Key: item.Key, Size: item.Content.Size})
		}
	}
	layers, err := v.lineages(tops)
	if err != nil {
		return err
	}
	alone := make(map[model.LayerID]bool)
	for _, layer := range layers {
		item, err := v.keptLayer(layer)
		if err != nil {
			return err
		}
		shared, err := v.shared(layer, id, alone)
		if err != nil {
			return err
		}
		holds, err := v.tx.HoldsOn(layer)
		if err := v.damaged.note(err); err != nil {
			return err
		}
		item.Shared, item.Leased = shared || len(holds) > 0, len(v.leased[layer]) > 0
		alone[layer] = !item.Shared && !item.Leased
		about.Keeps.Layers = append(about.Keeps.Layers, item)
	}
	return nil
}

// lineages returns layers and their ancestors, each before its parent.
func (v *viewer) lineages(tops []model.LayerID) (all []model.LayerID, err error) {
	for _, top := range tops {
		line, err := lineage(v.tx, top, v.damaged)
		if err != nil {
			return nil, err
		}
		// What several have in common is at the end of each.
		line = slices.DeleteFunc(line, func(l model.LayerID) bool { return slices.Contains(all, l) })
		all = append(line, all...)
	}
	return all, nil
}

func (v *viewer) keptLayer(id model.LayerID) (keptItem, error) {
	named, err := v.brief(id)
	item := keptItem{ID: string(id), Names: named.Names, Size: model.SizeUnknown}
	if err != nil {
		return item, err
	}
	l, err := v.tx.LayerByID(id)
	if err != nil {
		return item, v.damaged.note(err)
	}
	item.Size, err = layerSize(v.tx, &object{ID: string(id), content: l.Size}, v.damaged)
	return item, err
}

// shared tells whether something other than the given object, and the layers
// that it has alone, uses a layer.
func (v *viewer) shared(layer model.LayerID, id model.ID, alone map[model.LayerID]bool) (bool, error) {
	children, errChildren := v.tx.Children(layer)
	images, errImages := v.tx.ImagesOfLayer(layer)
	containers, errContainers := v.tx.ContainersOfLayer(layer)
	if err := v.damaged.note(errors.Join(errChildren, errImages, errContainers)); err != nil {
		return true, err
	}
	return slices.ContainsFunc(children, func(l model.LayerID) bool { return !alone[l] }) ||
		slices.ContainsFunc(images, func(i model.ImageID) bool { return model.ID(i) != id }) ||
		slices.ContainsFunc(containers, func(c model.ContainerID) bool { return model.ID(c) != id }), nil
}
