package graph_test

import (
	"maps"
	"slices"

	"github.com/csdb/csdb/model"
)

// world is what a store should hold, as simple as can be.
type world struct {
	copies  bool // the driver copies parents
	objects map[model.Kind]map[string]*object
	leases  map[string]model.ID // what each is about, by ID
	created int
}

// object is a layer, an image or a container.
type object struct {
	names    []string
	metadata string
	data     map[string]string
	keys     []string // of data, in the order of their first use
	dirs     map[bool]map[string]bool
	born     int    // tells it from others of its ID
	on       string // the parent, the top layer, or the image

	// Of layers:
	own     map[string]*string // its changes, or all files if parents are copied; nil is a deletion
	applied []entry            // the last diff that was applied
	diff    []byte             // the same as an archive
	made    bool               // it has a directory
	mounts  int
	history []string // of an image's names
}

func newWorld(driver string) *world {
	w := &world{copies: driver == "vfs", objects: make(map[model.Kind]map[string]*object), leases: make(map[string]model.ID)}
	for _, kind := range model.Kinds {
		w.objects[kind] = make(map[string]*object)
	}
	return w
}

func (w *world) layer(id string) *object { return w.objects[model.KindLayer][id] }

// add makes an object.
func (w *world) add(kind model.Kind, id, on string, names []string, metadata string) *object {
	w.created++
	o := &object{
		names: model.UniqueNames(names...), metadata: metadata, born: w.created, on: on,
		data: make(map[string]string), dirs: map[bool]map[string]bool{},
	}
	if kind == model.KindLayer {
		o.own = w.fresh(on)
	}
	w.objects[kind][id] = o
	return o
}

// fresh returns what a new layer has.
func (w *world) fresh(on string) map[string]*string {
	own := make(map[string]*string)
	if w.copies {
		for name, text := range w.tree(on) {
			own[name] = &text
		}
	}
	return own
}

// tree returns the files that a layer shows.
func (w *world) tree(id string) map[string]string {
	o := w.layer(id)
	if o == nil {
		return map[string]string{}
	}
	tree := map[string]string{}
	if !w.copies {
		tree = w.tree(o.on)
	}
	for name, text := range o.own {
		if text == nil {
			delete(tree, name)
		} else {
			tree[name] = *text
		}
	}
	return tree
}

// write writes a file of a layer, or removes it if text is nil.
func (w *world) write(o *object, name string, text *string) {
	_, below := w.tree(o.on)[name]
	if text == nil && (w.copies || !below) {
		delete(o.own, name) // nothing is left to hide
		return
	}
	o.own[name] = text
}

// apply applies a diff.
func (w *world) apply(o *object, entries []entry) {
	for _, e := range entries {
		if name, hidden := cutWhiteout(e.name); hidden {
			w.write(o, name, nil)
		} else {
			w.write(o, name, &e.body)
		}
	}
}

func cutWhiteout(name string) (string, bool) {
	if len(name) > 4 && name[:4] == ".wh." {
		return name[4:], true
	}
	return name, false
}

// make gives a layer and its ancestors directories.
func (w *world) make(id string) {
	for o := w.layer(id); o != nil; o = w.layer(o.on) {
		o.made = true
	}
}

// makeChildren is what happens before the content of a layer changes.
func (w *world) makeChildren(id string) {
	if w.copies {
		for _, child := range w.children(id) {
			w.make(child)
		}
	}
}

func (w *world) children(id string) (ids []string) {
	for child, o := range w.objects[model.KindLayer] {
		if o.on == id {
			ids = append(ids, child)
		}
	}
	return ids
}

// users returns the objects of a kind that are on a given one.
func (w *world) users(kind model.Kind, on string) (ids []string) {
	for id, o := range w.objects[kind] {
		if o.on == on {
			ids = append(ids, id)
		}
	}
	return ids
}

// ownerOf returns the object of a kind that has a name.
func (w *world) ownerOf(kind model.Kind, name string) *object {
	for _, o := range w.objects[kind] {
		if slices.Contains(o.names, name) {
			return o
		}
	}
	return nil
}

// taken tells whether one of the names is.
func (w *world) taken(kind model.Kind, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return w.ownerOf(kind, name) != nil })
}

// isContainers tells whether a layer belongs to a container.
func (w *world) isContainers(layer string) bool {
	for id := range w.objects[model.KindContainer] {
		if string(containerLayer(id)) == layer {
			return true
		}
	}
	return false
}

// mountedAbove tells whether something on top of a layer is mounted.
func (w *world) mountedAbove(id string) bool {
	return slices.ContainsFunc(w.children(id), func(child string) bool {
		return w.layer(child).mounts > 0 || w.mountedAbove(child)
	})
}

// layersOnlyOf returns what is deleted together with an image.
func (w *world) layersOnlyOf(id string) (doomed []string) {
	for layer := w.objects[model.KindImage][id].on; w.layer(layer) != nil; layer = w.layer(layer).on {
		others := slices.DeleteFunc(w.users(model.KindImage, layer), func(user string) bool { return user == id })
		above := slices.DeleteFunc(w.children(layer), func(child string) bool { return slices.Contains(doomed, child) })
		if len(others)+len(above) > 0 || w.isContainers(layer) || w.leased(model.LayerID(layer)) {
			break
		}
		doomed = append(doomed, layer)
	}
	return doomed
}

// rename replaces the names of an object.
func (w *world) rename(kind model.Kind, id string, names []string) []string {
	names = model.UniqueNames(names...)
	for _, name := range names {
		if owner := w.ownerOf(kind, name); owner != nil {
			owner.names = slices.DeleteFunc(slices.Clone(owner.names), func(n string) bool { return n == name })
		}
	}
	o := w.objects[kind][id]
	o.names = names
	o.history = model.RecordNames(o.history, names)
	return names
}

// ids returns the IDs of a kind, sorted.
func (w *world) ids(kind model.Kind) []string { return slices.Sorted(maps.Keys(w.objects[kind])) }
