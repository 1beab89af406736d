package db_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// state is what a database should have in it, in maps.
type state struct {
	layers     map[model.LayerID]*model.Layer
	images     map[model.ImageID]*model.Image
	containers map[model.ContainerID]*model.Container
	order      map[model.Kind][]string // IDs as they were created
	data       map[objectKey][]model.Data
	trash      map[string]bool
	files      int // content files that have been named
	changed    bool
}

type objectKey struct {
	kind model.Kind
	id   string
}

func newState() *state {
	return (&state{}).clone()
}

// clone copies everything. Records are replaced, not changed.
func (s *state) clone() *state {
	c := &state{
		layers: make(map[model.LayerID]*model.Layer), images: make(map[model.ImageID]*model.Image),
		containers: make(map[model.ContainerID]*model.Container), order: make(map[model.Kind][]string),
		data: make(map[objectKey][]model.Data), trash: make(map[string]bool), files: s.files,
	}
	maps.Copy(c.layers, s.layers)
	maps.Copy(c.images, s.images)
	maps.Copy(c.containers, s.containers)
	maps.Copy(c.trash, s.trash)
	for kind, ids := range s.order {
		c.order[kind] = slices.Clone(ids)
	}
	for key, items := range s.data {
		c.data[key] = slices.Clone(items)
	}
	return c
}

// names returns a way to the names of an object.
func (s *state) names(kind model.Kind, id string) *[]string {
	switch kind {
	case model.KindLayer:
		l := *s.layers[model.LayerID(id)]
		s.layers[l.ID] = &l
		return &l.Names
	case model.KindImage:
		i := *s.images[model.ImageID(id)]
		s.images[i.ID] = &i
		return &i.Names
	case model.KindContainer:
		c := *s.containers[model.ContainerID(id)]
		s.containers[c.ID] = &c
		return &c.Names
	}
	panic("unknown kind")
}

// owners returns who has which name.
func (s *state) owners(kind model.Kind) map[string]string {
	owners := make(map[string]string)
	for _, id := range s.order[kind] {
		for _, name := range *s.names(kind, id) {
			owners[name] = id
		}
	}
	return owners
}

// dangling lists the references that lead nowhere as Check reports them.
func (s *state) dangling() []string {
	var all []string
	for id, l := range s.layers {
		if l.Parent != "" && s.layers[l.Parent] == nil {
			all = append(all, fmt.Sprintf("%s %s", db.ProblemParent, id))
		}
	}
	for id, i := range s.images {
		// An image that names a layer twice is one user of it.
		for _, layer := range slices.Compact(slices.Sorted(slices.Values(i.TopLayers()))) {
			if s.layers[layer] == nil {
				all = append(all, fmt.Sprintf("%s %s", db.ProblemTopLayer, id))
			}
		}
	}
	for id, c := range s.containers {
		if c.Image != "" && s.images[c.Image] == nil {
			all = append(all, fmt.Sprintf("%s %s", db.ProblemImage, id))
		}
		if s.layers[c.Layer] == nil {
			all = append(all, fmt.Sprintf("%s %s", db.ProblemLayer, id))
		}
	}
	slices.Sort(all)
	return all
}

// lookups returns who refers to the layer, and to the image, with an ID.
func (s *state) lookups(id string) string {
	var children []model.LayerID
	var images []model.ImageID
	var containers, made []model.ContainerID
	for child, l := range s.layers {
		if string(l.Parent) == id {
			children = append(children, child)
		}
	}
	for image, i := range s.images {
		if slices.Contains(i.TopLayers(), model.LayerID(id)) {
			images = append(images, image)
		}
	}
	for container, c := range s.containers {
		if string(c.Layer) == id {
			containers = append(containers, container)
		}
		if string(c.Image) == id {
			made = append(made, container)
		}
	}
	slices.Sort(children)
	slices.Sort(images)
	slices.Sort(containers)
	slices.Sort(made)
	return fmt.Sprint(children, images, containers, made)
}

// uses counts the images, the containers, and the children in use that need a
// layer.
func (s *state) uses(id model.LayerID) (n int) {
	for _, i := range s.images {
		if slices.Contains(i.TopLayers(), id) {
			n++
		}
	}
	for _, c := range s.containers {
		if c.Layer == id {
			n++
		}
	}
	for child, l := range s.layers {
		if l.Parent == id && s.uses(child) > 0 {
			n++
		}
	}
	return n
}

// descendant returns a layer that cannot be the parent of another one.
func (s *state) descendant(id model.LayerID) model.LayerID {
	for _, child := range s.order[model.KindLayer] {
		if child := model.LayerID(child); s.layers[child].Parent == id {
			return s.descendant(child)
		}
	}
	return id
}

// ancestorOf tells whether a layer is another one, or below it.
func (s *state) ancestorOf(ancestor, id model.LayerID) bool {
	for id != "" && s.layers[id] != nil {
		if id == ancestor {
			return true
		}
		id = s.layers[id].Parent
	}
	return id == ancestor
}

func (s *state) withDigest(d digest.Digest) (n int) {
	for _, l := range s.layers {
		if l.Diff != nil && l.Diff.Digest == d {
			n++
		}
	}
	for _, i := range s.images {
		if slices.Contains(i.Digests(), d) {
			n++
		}
	}
	return n
}

func (s *state) usage() db.Usage {
	u := db.Usage{Layers: int64(len(s.layers)), Images: int64(len(s.images)), Containers: int64(len(s.containers))}
	for id, l := range s.layers {
		size := max(l.Size, 0)
		u.LayerBytes += size
		if s.uses(id) == 0 {
			u.UnusedLayerBytes += size
		}
		if l.Diff != nil && l.Diff.TarSplit != nil {
			u.TarSplitBytes += l.Diff.TarSplit.Size
		}
	}
	for _, items := range s.data {
		for _, item := range items {
			u.DataItems++
			u.DataBytes += item.Content.Size
		}
	}
	return u
}
