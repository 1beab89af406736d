package fsck

import (
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/model"
)

// choice is a set of objects; nil means all.
type choice map[ref]bool

func (c choice) has(kind model.Kind, id string) bool { return c == nil || c[ref{kind, id}] }

// chosen returns the objects that the options name, with all that they are made
// of: a container's image and layer, an image's layers, a layer's ancestors.
func (s *store) chosen() (choice, error) {
	if len(s.options.Only) == 0 {
		return nil, nil
	}
	c := make(choice)
	for _, name := range s.options.Only {
		id, err := s.find(name)
		if err != nil {
			return nil, err
		}
		if err := intact(s.choose(c, id)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// find returns the ID of the object that a name, an ID or the beginning of one
// means.
func (s *store) find(name string) (model.ID, error) {
	for _, kind := range slices.Backward(model.Kinds) {
		id, err := s.tx.Find(kind, name)
		if err == nil {
			return model.NewID(kind, id), nil
		}
		if !errors.Is(err, model.ErrNotFound) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%q: %w", name, model.ErrNotAnID)
}

// choose adds an object with what it is made of. What is damaged ends it.
func (s *store) choose(c choice, id model.ID) error {
	if layer, ok := id.(model.LayerID); ok {
		s.chooseLayers(c, layer)
		return nil
	}
	c[ref{id.Kind(), id.String()}] = true
	switch id := id.(type) {
	case model.ImageID:
		image, err := s.tx.Image(id)
		if err != nil {
			return err
		}
		s.chooseLayers(c, image.TopLayers()...)
	case model.ContainerID:
		container, err := s.tx.Container(id)
		if err != nil {
			return err
		}
		s.chooseLayers(c, container.Layer)
		if _, err := s.tx.Image(container.Image); err == nil {
			return s.choose(c, container.Image)
		}
	}
	return nil
}

// chooseLayers adds layers with their ancestors.
func (s *store) chooseLayers(c choice, layers ...model.LayerID) {
	for _, id := range layers {
		for at := (ref{model.KindLayer, string(id)}); at.id != "" && !c[at]; {
			c[at] = true
			layer, _ := s.ancestor(model.LayerID(at.id))
			at.id = string(layer.parent)
		}
	}
}
