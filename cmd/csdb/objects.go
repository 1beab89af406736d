package main

import (
	"errors"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// object is what commands that show many objects need to know about each.
type object struct {
	Kind    model.Kind `json:"kind"`
	ID      string     `json:"id"`
	Names   []string   `json:"names"`
	Created time.Time  `json:"created"`

	Parent     model.LayerID `json:"parent,omitempty"`     // of a layer
	Incomplete bool          `json:"incomplete,omitempty"` // of a layer
	Damage     string        `json:"damage,omitempty"`     // why a layer is in quarantine
	Layer      model.LayerID `json:"layer,omitempty"`      // top layer of an image, or a container's own
	Image      model.ImageID `json:"image,omitempty"`      // of a container
	// Mapped are the mapped variants of an image's top layer.
	Mapped []model.LayerID `json:"mapped-layers,omitempty"`

	// content is the size of a layer's own content, see model.Layer.
	content int64
}

// loadObjects returns the objects of a kind in the order of their creation. What
// is damaged is noted and left out.
func loadObjects(tx *graph.ReadTx, kind model.Kind, damaged *damages) (objects []object, err error) {
	switch kind {
	case model.KindLayer:
		layers, errList := tx.Layers()
		for _, l := range layers {
			objects = append(objects, layerObject(l))
		}
		err = errList
	case model.KindImage:
		images, errList := tx.Images()
		for _, i := range images {
			objects = append(objects, imageObject(i))
		}
		err = errList
	case model.KindContainer:
		containers, errList := tx.Containers()
		for _, c := range containers {
			objects = append(objects, containerObject(c))
		}
		err = errList
	}
	return objects, damaged.note(err)
}

// loadObject returns the object with an ID.
func loadObject(tx *graph.ReadTx, id model.ID) (object, error) {
	switch id := id.(type) {
	case model.LayerID:
		l, err := tx.LayerByID(id)
		if err != nil {
			return object{}, err
		}
		return layerObject(l), nil
	case model.ImageID:
		i, err := tx.ImageByID(id)
		if err != nil {
			return object{}, err
		}
		return imageObject(i), nil
	case model.ContainerID:
		c, err := tx.ContainerByID(id)
		if err != nil {
			return object{}, err
		}
		return containerObject(c), nil
	}
	return object{}, model.Unknown(id.Kind(), id.String())
}

func layerObject(l *model.Layer) object {
	return object{
		Kind: model.KindLayer, ID: string(l.ID), Names: list(l.Names), Created: l.Created,
		Parent: l.Parent, Incomplete: l.Incomplete, Damage: l.Damage, content: l.Size,
	}
}

func imageObject(i *model.Image) object {
	return object{
		Kind: model.KindImage, ID: string(i.ID), Names: list(i.Names), Created: i.Created,
		Layer: i.TopLayer, Mapped: i.MappedTopLayers,
	}
}

func containerObject(c *model.Container) object {
	return object{
		Kind: model.KindContainer, ID: string(c.ID), Names: list(c.Names), Created: c.Created,
		Layer: c.Layer, Image: c.Image,
	}
}

// list returns a list that is written as [] if it is empty.
func list(texts []string) []string { return append([]string{}, texts...) }

// sizeOf returns the size of an object. If it cannot be told because something
// is damaged, that is noted.
func sizeOf(tx *graph.ReadTx, id model.ID, damaged *damages) (size graph.Size, known bool, err error) {
	switch id := id.(type) {
	case model.LayerID:
		size, err = tx.LayerSize(id)
	case model.ImageID:
		size, err = tx.ImageSize(id)
	case model.ContainerID:
		size, err = tx.ContainerSize(id)
	}
	if errors.Is(err, model.ErrNotFound) {
		return graph.Size{}, false, nil // something was deleted by force
	}
	return size, err == nil, damaged.note(err)
}
