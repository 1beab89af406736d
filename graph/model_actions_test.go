package graph_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// actions are the random operations.
func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":           m.check,
		"create":     m.create,
		"import":     m.importLayer,
		"stage":      m.stage,
		"commit":     m.commit,
		"apply":      m.apply,
		"write":      m.write,
		"mount":      m.mount,
		"unmount":    m.unmount,
		"tree":       m.tree,
		"diff":       m.diff,
		"rename":     m.rename,
		"metadata":   m.setMetadata,
		"set data":   m.setData,
		"delete":     m.delete,
		"force":      m.force,
		"lease":      m.lease,
		"unlease":    m.unlease,
		"dir":        m.dir,
		"recover":    m.recover,
		"reopen":     m.reopen,
		"kill agent": m.killAgent,
	}
}

// drawID chooses the ID of an object of a kind, or one that does not exist.
func (m *machine) drawID(rt *rapid.T, kind model.Kind, what string) string {
	ids := m.world.ids(kind)
	for _, letter := range []string{"x", "y", "z"} {
		ids = append(ids, string(kind)+"-"+letter)
	}
	return rapid.SampledFrom(ids).Draw(rt, what)
}

func drawKind(rt *rapid.T) model.Kind { return rapid.SampledFrom(model.Kinds).Draw(rt, "kind") }

func drawNames(rt *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"n1", "n2", "n3", "n4"}), 0, 2).Draw(rt, "names")
}

// drawEntries draws what a diff has.
func drawEntries(rt *rapid.T) (entries []entry) {
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3, rapid.ID[string]).Draw(rt, "files") {
		if rapid.IntRange(0, 3).Draw(rt, "whiteout") == 0 {
			entries = append(entries, file(".wh."+name, ""))
		} else {
			entries = append(entries, file(name, rapid.StringN(0, 5, -1).Draw(rt, "text")))
		}
	}
	return entries
}

// drawDiff draws a diff and a compression of it.
func (m *machine) drawDiff(rt *rapid.T) (entries []entry, blob []byte) {
	entries = drawEntries(rt)
	kind := rapid.SampledFrom(kinds).Draw(rt, "compression")
	if compress.Writable(kind) != nil {
		kind = model.Uncompressed
	}
	return entries, compressed(m.t, kind, tarball(m.t, entries...))
}

func (m *machine) create(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	w := m.world
	below := map[model.Kind]model.Kind{
		model.KindLayer: model.KindLayer, model.KindImage: model.KindLayer, model.KindContainer: model.KindImage,
	}[kind]
	o := op{Do: "create", Kind: kind, ID: m.drawID(rt, kind, "id"), Names: drawNames(rt), Key: rapid.String().Draw(rt, "metadata")}
	if rapid.Bool().Draw(rt, "on something") {
		o.Parent = m.drawID(rt, below, "on")
	}
	exists := when(w.objects[kind][o.ID] != nil, model.ErrDuplicateID)
	taken := when(w.taken(kind, o.Names), model.ErrDuplicateName)
	var err error
	switch kind {
	case model.KindLayer:
		err = first(m.parentError(o), m.circleError(o), exists, taken)
	case model.KindImage:
		err = first(when(o.Parent != "" && w.layer(o.Parent) == nil, model.ErrLayerUnknown), exists, taken)
	case model.KindContainer:
		err = first(
			when(o.Parent != "", m.unknown(model.KindImage, o.Parent)),
			m.topError(o.Parent),
			when(w.layer(string(containerLayer(o.ID))) != nil, model.ErrDuplicateID), exists, taken)
	}
	m.run(rt, by, o, err)
	if err != nil {
		return
	}
	w.add(kind, o.ID, o.Parent, o.Names, o.Key)
	if kind == model.KindContainer {
		parent := ""
		if o.Parent != "" {
			parent = w.objects[model.KindImage][o.Parent].on
		}
		m.adopted(w.add(model.KindLayer, string(containerLayer(o.ID)), parent, nil, ""), parent)
	} else if kind == model.KindLayer {
		m.adopted(w.layer(o.ID), o.Parent)
	}
}

// adopted is what happens to a layer that has been created on a parent.
func (m *machine) adopted(child *object, parent string) {
	if p := m.world.layer(parent); m.world.copies && p != nil && p.mounts > 0 {
		child.made = true // what is written to the parent now must not be seen
	}
}

// parentError is the error for the parent of a new layer.
func (m *machine) parentError(o op) error {
	w := m.world
	if o.Parent == "" {
		return nil
	}
	return first(m.unknown(model.KindLayer, o.Parent), when(w.isContainers(o.Parent), model.ErrParentIsContainer))
}

// circleError is the error for a new layer that is below its own parent.
func (m *machine) circleError(o op) error {
	for id := o.Parent; m.world.layer(id) != nil; id = m.world.layer(id).on {
		if id == o.ID || m.world.layer(id).on == o.ID && o.ID != "" {
			return model.ErrInvalid
		}
	}
	return nil
}

// topError is the error for a container of an image that has lost its layer.
func (m *machine) topError(image string) error {
	i := m.world.objects[model.KindImage][image]
	if i == nil || i.on == "" {
		return nil
	}
	return m.parentError(op{Parent: i.on})
}

// newLayerError is the error of staging a layer.
func (m *machine) newLayerError(o op) error {
	return first(when(m.world.layer(o.ID) != nil, model.ErrDuplicateID),
		when(m.world.taken(model.KindLayer, o.Names), model.ErrDuplicateName), m.parentError(o), m.circleError(o))
}

func (m *machine) drawNewLayer(rt *rapid.T, do string) (op, []entry) {
	entries, blob := m.drawDiff(rt)
	o := op{Do: do, ID: m.drawID(rt, model.KindLayer, "id"), Names: drawNames(rt), Data: blob}
	if rapid.Bool().Draw(rt, "on something") {
		o.Parent = m.drawID(rt, model.KindLayer, "parent")
	}
	return o, entries
}

func (m *machine) importLayer(rt *rapid.T) {
	_, by := m.draw(rt)
	o, entries := m.drawNewLayer(rt, "import")
	err := m.newLayerError(o)
	m.run(rt, by, o, err)
	if err == nil {
		m.world.make(o.Parent)
		m.applied(m.world.add(model.KindLayer, o.ID, o.Parent, o.Names, o.Key), entries)
	}
}

// applied notes that a diff has been applied.
func (m *machine) applied(l *object, entries []entry) {
	m.world.apply(l, entries)
	l.made, l.applied, l.diff = true, entries, tarball(m.t, entries...)
}

func (m *machine) stage(rt *rapid.T) {
	i, by := m.draw(rt)
	o, entries := m.drawNewLayer(rt, "stage-layer")
	if m.staged[i][o.ID] != nil {
		return // one is enough
	}
	err := m.newLayerError(o)
	m.run(rt, by, o, err)
	if err == nil {
		m.world.make(o.Parent)
		// What happens to the parent from now on does not concern it.
		l := &object{on: o.Parent, own: m.world.fresh(o.Parent)}
		m.world.apply(l, entries)
		m.staged[i][o.ID] = &stagedLayer{o, entries, m.world.layer(o.Parent), l.own}
	}
}

// commit commits or discards a staged layer.
func (m *machine) commit(rt *rapid.T) {
	i, by := m.draw(rt)
	var ids []string
	for id := range m.staged[i] {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(rt, "id")
	staged := m.staged[i][id]
	delete(m.staged[i], id)
	if rapid.IntRange(0, 3).Draw(rt, "discard") == 0 {
		m.run(rt, by, op{Do: "discard-layer", ID: id}, nil)
		return
	}
	w := m.world
	err := first(
		when(w.layer(id) != nil, model.ErrDuplicateID), m.parentError(staged.o),
		when(staged.under != w.layer(staged.o.Parent), model.ErrStagedOnOtherParent), m.circleError(staged.o),
		when(w.taken(model.KindLayer, staged.o.Names), model.ErrDuplicateName))
	m.run(rt, by, op{Do: "commit-layer", ID: id}, err)
	if err == nil {
		l := w.add(model.KindLayer, id, staged.o.Parent, staged.o.Names, staged.o.Key)
		m.applied(l, staged.entries)
		l.own = staged.own
	}
}

func (m *machine) apply(rt *rapid.T) {
	_, by := m.draw(rt)
	entries, blob := m.drawDiff(rt)
	o := op{Do: "apply", ID: m.drawID(rt, model.KindLayer, "id"), Data: blob}
	l := m.world.layer(o.ID)
	if l != nil && (m.lost(o.ID) || !m.world.copies && m.world.mountedAbove(o.ID)) {
		return // what happens then is not defined
	}
	r := m.run(rt, by, o, m.unknown(model.KindLayer, o.ID))
	if l == nil {
		return
	}
	size := 0
	for _, e := range entries {
		size += len(e.body)
	}
	if r.N != int64(size) {
		rt.Fatalf("%d bytes were applied, of %d", r.N, size)
	}
	m.world.makeChildren(o.ID)
	m.world.make(o.ID)
	m.applied(l, entries)
}

// lost tells whether a layer, or one below it, has lost its parent.
func (m *machine) lost(id string) bool {
	for l := m.world.layer(id); l != nil; l = m.world.layer(l.on) {
		if l.on != "" && m.world.layer(l.on) == nil {
			return true
		}
	}
	return false
}

func (m *machine) rename(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	o := op{Do: "rename", Kind: kind, ID: m.drawID(rt, kind, "id"), Names: drawNames(rt)}
	o.Key = rapid.SampledFrom([]string{"set", "add", "remove"}).Draw(rt, "how")
	r := m.run(rt, by, o, m.unknown(kind, o.ID))
	if r.Err != "" {
		return
	}
	names, old := o.Names, m.world.objects[kind][o.ID].names
	switch o.Key {
	case "add":
		names = slices.Concat(o.Names, old)
	case "remove":
		names = slices.DeleteFunc(slices.Clone(old), func(n string) bool { return slices.Contains(o.Names, n) })
	}
	if want := m.world.rename(kind, o.ID, names); !slices.Equal(r.List, want) {
		rt.Fatalf("names are %q instead of %q", r.List, want)
	}
}

func (m *machine) setMetadata(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	o := op{Do: "set-metadata", Kind: kind, ID: m.drawID(rt, kind, "id"), Key: rapid.String().Draw(rt, "text")}
	if m.run(rt, by, o, m.unknown(kind, o.ID)).Err == "" {
		m.world.objects[kind][o.ID].metadata = o.Key
	}
}

// setData stores or deletes a data item.
func (m *machine) setData(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	key := rapid.SampledFrom([]string{"key", "manifest", "a/b", "..", "userdata"}).Draw(rt, "key")
	o := op{Kind: kind, ID: m.drawID(rt, kind, "id"), Key: key}
	err := m.unknown(kind, o.ID)
	object := m.world.objects[kind][o.ID]
	if rapid.IntRange(0, 2).Draw(rt, "delete") == 0 {
		o.Do = "delete-data"
		m.run(rt, by, o, first(err, when(object != nil && !slices.Contains(object.keys, key), model.ErrDataUnknown)))
		if object != nil {
			delete(object.data, key)
			object.keys = slices.DeleteFunc(object.keys, func(k string) bool { return k == key })
		}
		return
	}
	text := rapid.String().Draw(rt, "text")
	o.Do, o.Data = "set-data", []byte(text)
	if m.run(rt, by, o, err).Err == "" {
		if _, again := object.data[key]; !again {
			object.keys = append(object.keys, key)
		}
		object.data[key] = text
	}
}

// dir puts a file into the directory of an object.
func (m *machine) dir(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := rapid.SampledFrom(model.Kinds[1:]).Draw(rt, "kind")
	o := op{Do: "dir", Kind: kind, ID: m.drawID(rt, kind, "id"), Key: rapid.SampledFrom([]string{"f", "g"}).Draw(rt, "file")}
	o.Force = rapid.Bool().Draw(rt, "run")
	r := m.run(rt, by, o, m.unknown(kind, o.ID))
	if r.Err != "" {
		return
	}
	object := m.world.objects[kind][o.ID]
	if object.dirs[o.Force] == nil {
		object.dirs[o.Force] = map[string]bool{}
	}
	object.dirs[o.Force][o.Key] = true
	if len(r.List) != len(object.dirs[o.Force]) {
		rt.Fatalf("the directory has %q instead of %v", r.List, fmt.Sprint(object.dirs[o.Force]))
	}
}
