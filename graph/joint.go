package graph

import (
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// joint is what a transaction sees of all databases of a store as if they were
// one. Each object is in one of them, its place; what refers to it may be in
// another one.
type joint struct {
	// main is the database in the graph root.
	main *place
	// all are all databases, the store's own before the others, and own those of
	// them that are the store's own.
	all, own []*place
	// order has the places in which objects of a kind are looked for, in that order.
	order map[model.Kind][]*place
	// hidden are places that are only asked what they need, and otherRuns those
	// of them that nothing can be changed in.
	hidden, otherRuns []*place
}

// join returns places as one. The first one is that of the graph root.
func join(places []*place) *joint {
	j := &joint{main: places[0], order: make(map[model.Kind][]*place, len(model.Kinds))}
	for _, p := range places {
		if p.role == roleOtherRun {
			j.otherRuns = append(j.otherRuns, p)
			continue
		}
		j.all = append(j.all, p)
		if p.own() {
			j.own = append(j.own, p)
		}
		if p.role == roleHidden {
			j.hidden = append(j.hidden, p)
			continue
		}
		j.order[model.KindLayer] = append(j.order[model.KindLayer], p)
		switch {
		case p.role == roleImages: // where most of them are
			j.order[model.KindImage] = append([]*place{p}, j.order[model.KindImage]...)
		default:
			j.order[model.KindImage] = append(j.order[model.KindImage], p)
		}
		if p.own() {
			j.order[model.KindContainer] = append(j.order[model.KindContainer], p)
		}
	}
	return j
}

// place is one of the databases of a store, within a transaction.
type place struct {
	// home has the directories with the content of what is recorded here.
	home *Store
	role role
	run  string // the run root, if that is another one
	uuid string // of the database
	db   *db.ReadTx
	tx   *db.Tx // nil if nothing can be changed here
}

// role says what a database is for.
type role int

const (
	roleMain       role = iota // what is in the graph root
	roleImages                 // images, and layers that are not written to, in an image store
	roleVolatile               // containers that may be lost with the run root
	roleHidden                 // such containers of the other mode: transient or not
	roleOtherRun               // such containers of another run root
	roleAdditional             // what is only read
)

// own tells whether the place belongs to the store, and not to another one that
// it only reads.
func (p *place) own() bool { return p.role != roleAdditional }

// first returns what get returns for the first place in which it finds something.
// If it finds nothing, the error is that of the last place.
func first[T any](places []*place, get func(*place) (T, error)) (found T, at *place, err error) {
	for _, p := range places {
		if found, err = get(p); !errors.Is(err, model.ErrNotFound) {
			return found, p, err
		}
	}
	return found, nil, err
}

// every returns what get returns for all places. What it returns besides an
// error about damage counts.
func every[T any](places []*place, get func(*place) ([]T, error)) (all []T, err error) {
	for _, p := range places {
		some, errSome := get(p)
		if errSome != nil && !errors.Is(errSome, model.ErrCorrupt) {
			return nil, errSome
		}
		all, err = append(all, some...), errors.Join(err, errSome)
	}
	return all, err
}

// placeOf returns the place of an object, whose record may be damaged, and which
// may be hidden: it counts for what refers to it.
func (j *joint) placeOf(id model.ID) (*place, error) {
	names := func(p *place) ([]string, error) { return p.db.Names(id.Kind(), id.String()) }
	_, p, err := first(j.order[id.Kind()], names)
	if p == nil {
		_, p, _ = first(j.hidden, names)
	}
	if p == nil {
		return nil, err
	}
	return p, nil
}

// Layer returns the layer with an ID.
func (j *joint) Layer(id model.LayerID) (*model.Layer, error) {
	l, p, err := first(j.order[model.KindLayer], func(p *place) (*model.Layer, error) { return p.db.Layer(id) })
	if err != nil || p.own() {
		return l, err
	}
	return l, p.seen(l)
}

// Image returns the image with an ID.
func (j *joint) Image(id model.ImageID) (*model.Image, error) {
	i, p, err := first(j.order[model.KindImage], func(p *place) (*model.Image, error) { return p.db.Image(id) })
	if err == nil {
		i.ReadOnly = !p.own()
	}
	return i, err
}

// Container returns the container with an ID.
func (j *joint) Container(id model.ContainerID) (*model.Container, error) {
	c, _, err := first(j.order[model.KindContainer], func(p *place) (*model.Container, error) { return p.db.Container(id) })
	return c, err
}

// seen completes the record of a layer that is only read. Nobody can make a
// directory for it, and it needs none: without one it has what is below it.
func (p *place) seen(l *model.Layer) error {
	l.ReadOnly = true
	walked := make(map[model.LayerID]bool)
	for below := l; !l.Made && below.Parent != "" && !walked[below.Parent]; {
		walked[below.Parent] = true
		parent, err := p.db.Layer(below.Parent)
		if err != nil {
			return ignoreNotFound(err)
		}
		if below = parent; below.Made {
			l.Made, l.Dir = true, below.DriverDir()
		}
	}
	return nil
}

// Layers returns all layers.
func (j *joint) Layers() ([]*model.Layer, error) {
	return every(j.order[model.KindLayer], func(p *place) ([]*model.Layer, error) {
		all, err := p.db.Layers()
		for _, l := range all {
			if !p.own() {
				err = errors.Join(err, p.seen(l))
			}
		}
		return all, err
	})
}

// EachLayer calls fn for each layer of the store's own.
func (j *joint) EachLayer(fn func(*model.Layer) error) error {
	for _, p := range j.order[model.KindLayer] {
		if p.own() {
			if err := p.db.EachLayer(fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// Images returns all images, but for those in whose place there is another one.
func (j *joint) Images() ([]*model.Image, error) {
	return j.images(func(p *place) ([]*model.Image, error) { return p.db.Images() })
}

// ImagesByDigest returns the images that can be found by a digest.
func (j *joint) ImagesByDigest(d digest.Digest) ([]*model.Image, error) {
	return j.images(func(p *place) ([]*model.Image, error) { return p.db.ImagesByDigest(d) })
}

// images returns the images that get returns, but for those of other stores that
// have been pulled up: the record here is the one that counts, even if the other
// one can be found in more ways.
func (j *joint) images(get func(*place) ([]*model.Image, error)) ([]*model.Image, error) {
	return every(j.order[model.KindImage], func(p *place) ([]*model.Image, error) {
		all, err := get(p)
		if p.own() {
			return all, err
		}
		return slices.DeleteFunc(all, func(i *model.Image) bool {
			i.ReadOnly = true
			return j.hides(i.ID, p)
		}), err
	})
}

// hides tells whether there is an image of that ID in a place before p.
func (j *joint) hides(id model.ImageID, p *place) bool {
	order := j.order[model.KindImage]
	_, at, _ := first(order[:slices.Index(order, p)], func(p *place) (*model.Image, error) { return p.db.Image(id) })
	return at != nil
}

// Containers returns all containers.
func (j *joint) Containers() ([]*model.Container, error) {
	return every(j.order[model.KindContainer], func(p *place) ([]*model.Container, error) { return p.db.Containers() })
}

// LayersByDigest returns the layers with a digest.
func (j *joint) LayersByDigest(kind db.DigestKind, d digest.Digest) ([]*model.Layer, error) {
	return every(j.order[model.KindLayer], func(p *place) ([]*model.Layer, error) {
		all, err := p.db.LayersByDigest(kind, d)
		for _, l := range all {
			if !p.own() {
				err = errors.Join(err, p.seen(l))
			}
		}
		return all, err
	})
}

// Find returns the ID of the object that ref means. The databases in the graph root
// and in the run root are one in this.
func (j *joint) Find(kind model.Kind, ref string) (string, error) {
	volatile := j.at(roleVolatile)
	id, _, err := first(j.order[kind], func(p *place) (string, error) {
		switch {
		case volatile == j.main: // there is none
		case p == j.main:
			return findBetter(p, volatile, kind, ref)
		case p == volatile:
			return "", model.Unknown(kind, ref)
		}
		id, err := p.db.Find(kind, ref)
		if err == nil && !p.own() && kind == model.KindImage && j.hides(model.ImageID(id), p) {
			// It has other names here, and is found by these alone.
			err = model.Unknown(kind, ref)
		}
		return id, err
	})
	return id, err
}

// findBetter returns the ID of the object in either of two places that ref means: by
// its ID rather than by a name, and by that rather than by the beginning of an ID,
// which must be that of one object only.
func findBetter(a, b *place, kind model.Kind, ref string) (string, error) {
	idA, errA := a.db.Find(kind, ref)
	idB, errB := b.db.Find(kind, ref)
	switch {
	case errors.Is(errA, model.ErrNotFound):
		return idB, errB
	case errA != nil || errors.Is(errB, model.ErrNotFound):
		return idA, errA
	case errB != nil:
		return "", errB
	}
	exactA, exactB := a.exactness(kind, ref, idA), b.exactness(kind, ref, idB)
	switch {
	case exactA == guessed && exactB == guessed:
		return "", model.Unknown(kind, ref)
	case exactB < exactA:
		return idB, nil
	}
	return idA, nil
}

// exactness says how an object was found.
type exactness int

const (
	byID exactness = iota
	byName
	byLayer
	guessed // by the beginning of its ID
)

func (p *place) exactness(kind model.Kind, ref, id string) exactness {
	if id == ref {
		return byID
	}
	if owner, err := p.db.NameOwner(kind, ref); err == nil && owner == id {
		return byName
	}
	if c, err := p.db.Container(model.ContainerID(id)); err == nil && kind == model.KindContainer && string(c.Layer) == ref {
		return byLayer
	}
	return guessed
}

// users returns the places in which something may refer to an object: what is in
// another store refers to what that one has.
func (j *joint) users(id model.ID) []*place {
	if at, err := j.placeOf(id); err == nil && !at.own() {
		return j.all
	}
	return j.own
}

// Children returns the layers whose parent is the given layer.
func (j *joint) Children(id model.LayerID) ([]model.LayerID, error) {
	return every(j.users(id), func(p *place) ([]model.LayerID, error) { return p.db.Children(id) })
}

// ImagesOfLayer returns the images of which the layer is a top layer.
func (j *joint) ImagesOfLayer(id model.LayerID) ([]model.ImageID, error) {
	return every(j.users(id), func(p *place) ([]model.ImageID, error) {
		all, err := p.db.ImagesOfLayer(id)
		if p.own() {
			return all, err
		}
		return slices.DeleteFunc(all, func(i model.ImageID) bool { return j.hides(i, p) }), err
	})
}

// ContainersOfLayer returns the containers whose own layer it is.
func (j *joint) ContainersOfLayer(id model.LayerID) ([]model.ContainerID, error) {
	return every(j.own, func(p *place) ([]model.ContainerID, error) { return p.db.ContainersOfLayer(id) })
}

// ContainersOfImage returns the containers that were made from the image.
func (j *joint) ContainersOfImage(id model.ImageID) ([]model.ContainerID, error) {
	return every(j.own, func(p *place) ([]model.ContainerID, error) { return p.db.ContainersOfImage(id) })
}

// Uses returns the number of uses of a layer, those from other places included.
func (j *joint) Uses(id model.LayerID) (uint64, error) {
	n, at, err := first(j.order[model.KindLayer], func(p *place) (uint64, error) { return p.db.Uses(id) })
	if err != nil {
		return 0, err
	}
	for _, p := range j.own {
		if p == at {
			continue
		}
		more, err := p.db.UsesOf(id)
		if err != nil {
			return 0, err
		}
		n += more
	}
	return n, nil
}

// Names returns the names of an object.
func (j *joint) Names(kind model.Kind, id string) ([]string, error) {
	names, _, err := first(j.order[kind], func(p *place) ([]string, error) { return p.db.Names(kind, id) })
	return names, err
}

// NameOwner returns the ID of the object of the store's own that has a name.
func (j *joint) NameOwner(kind model.Kind, name string) (string, error) {
	id, _, err := first(j.order[kind], func(p *place) (string, error) {
		if !p.own() {
			return "", model.Unknown(kind, name)
		}
		return p.db.NameOwner(kind, name)
	})
	return id, err
}

// Metadata returns the metadata of an object.
func (j *joint) Metadata(kind model.Kind, id string) (string, error) {
	text, _, err := first(j.order[kind], func(p *place) (string, error) { return p.db.Metadata(kind, id) })
	return text, err
}

// Data returns the data items of an object.
func (j *joint) Data(id model.ID) ([]model.Data, error) {
	p, err := j.placeOf(id)
	if err != nil {
		return nil, err
	}
	return p.db.Data(id.Kind(), id.String())
}

// DataItem returns a data item of an object.
func (j *joint) DataItem(id model.ID, key string) (*model.Data, *place, error) {
	p, err := j.placeOf(id)
	if err != nil {
		return nil, nil, err
	}
	item, err := p.db.DataItem(id.Kind(), id.String(), key)
	return item, p, err
}

// Usage returns the sums over all that is the store's own.
func (j *joint) Usage() (*db.Usage, error) {
	sum := &db.Usage{}
	for _, p := range j.own {
		u, err := p.db.Usage()
		if err != nil {
			return nil, err
		}
		sum.Add(u)
	}
	return sum, nil
}
