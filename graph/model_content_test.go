package graph_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"path"
	"slices"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// drawLayer chooses a layer that can be mounted, or one that does not exist.
func (m *machine) drawLayer(rt *rapid.T) (string, bool) {
	id := m.drawID(rt, model.KindLayer, "layer")
	return id, m.world.layer(id) == nil || !m.lost(id)
}

// touched notes that a layer has been mounted for writing.
func (m *machine) touched(id string) {
	m.world.makeChildren(id)
	m.world.make(id)
}

func (m *machine) write(rt *rapid.T) {
	_, by := m.draw(rt)
	id, good := m.drawLayer(rt)
	if !good || !m.world.copies && m.world.mountedAbove(id) {
		return
	}
	o := op{Do: "write", ID: id, Key: rapid.SampledFrom([]string{"a", "b", "e"}).Draw(rt, "file")}
	var text *string
	if rapid.IntRange(0, 2).Draw(rt, "remove") > 0 {
		drawn := rapid.StringN(1, 5, -1).Draw(rt, "text")
		text, o.Data = &drawn, []byte(drawn)
	}
	if m.run(rt, by, o, m.unknown(model.KindLayer, id)).Err != "" {
		return
	}
	m.touched(id)
	if _, exists := m.world.tree(id)[o.Key]; exists || text != nil {
		m.world.write(m.world.layer(id), o.Key, text)
	}
}

func (m *machine) mount(rt *rapid.T) {
	_, by := m.draw(rt)
	id, good := m.drawLayer(rt)
	if good && m.run(rt, by, op{Do: "mount", ID: id}, m.unknown(model.KindLayer, id)).Err == "" {
		m.touched(id)
		m.world.layer(id).mounts++
	}
}

func (m *machine) unmount(rt *rapid.T) {
	_, by := m.draw(rt)
	id := m.drawID(rt, model.KindLayer, "layer")
	o := op{Do: "unmount", ID: id, Force: rapid.IntRange(0, 3).Draw(rt, "force") == 0}
	l := m.world.layer(id)
	r := m.run(rt, by, o, first(m.unknown(model.KindLayer, id), when(l != nil && l.mounts == 0, model.ErrLayerNotMounted)))
	if r.Err != "" {
		return
	}
	l.mounts--
	if o.Force {
		l.mounts = 0
	}
	if still := l.mounts > 0; still != (r.N > 0) {
		rt.Fatalf("still mounted: %v, want %v", r.N > 0, still)
	}
}

func (m *machine) tree(rt *rapid.T) {
	_, by := m.draw(rt)
	id, good := m.drawLayer(rt)
	if !good {
		return
	}
	r := m.run(rt, by, op{Do: "tree", ID: id}, m.unknown(model.KindLayer, id))
	if r.Err != "" {
		return
	}
	m.touched(id)
	var want []string
	for name, text := range m.world.tree(id) {
		want = append(want, name+"="+text)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, r.List); diff != "" {
		rt.Fatalf("files of %s (-want +got):\n%s", id, diff)
	}
}

// diff reads the diff of a layer. That of one to which a diff was applied is
// the same bit for bit, unless a file in it has been changed since; any other
// one makes the layer out of its parent.
func (m *machine) diff(rt *rapid.T) {
	_, by := m.draw(rt)
	id, good := m.drawLayer(rt)
	if !good {
		return
	}
	l, o := m.world.layer(id), op{Do: "diff", ID: id}
	if l == nil {
		m.run(rt, by, o, model.ErrLayerUnknown)
		return
	}
	if l.made {
		m.world.make(l.on)
	}
	if l.diff == nil {
		m.checkDiff(rt, id, m.run(rt, by, o, nil).Data)
		return
	}
	tree, changed := m.world.tree(id), false
	for _, e := range l.applied {
		text, exists := tree[e.name]
		changed = changed || e.body != "" && (!exists || text != e.body)
	}
	r := m.run(rt, by, o, when(changed, model.ErrCorrupt))
	if !changed && !bytes.Equal(r.Data, l.diff) {
		rt.Fatalf("the diff of %s is another one", id)
	}
}

// checkDiff checks that an archive makes a layer out of its parent.
func (m *machine) checkDiff(rt *rapid.T, id string, archive []byte) {
	got := m.world.tree(m.world.layer(id).on)
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		text, errRead := io.ReadAll(r)
		if err := errors.Join(err, errRead); err != nil {
			rt.Fatal(err)
		}
		name := path.Clean(header.Name)
		if hidden, ok := cutWhiteout(name); ok {
			delete(got, hidden)
		} else if name != "." {
			got[name] = string(text)
		}
	}
	if diff := cmp.Diff(m.world.tree(id), got); diff != "" {
		rt.Fatalf("what the diff makes of the parent of %s (-want +got):\n%s", id, diff)
	}
}

func (m *machine) delete(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	o := op{Do: "delete", Kind: kind, ID: m.drawID(rt, kind, "id")}
	w := m.world
	err := m.unknown(kind, o.ID)
	var layers []string
	switch {
	case err != nil:
	case kind == model.KindLayer:
		used := len(w.children(o.ID))+len(w.users(model.KindImage, o.ID)) > 0 || w.isContainers(o.ID)
		err = when(used || w.leased(o.object()), model.ErrInUse)
		layers = []string{o.ID}
	case kind == model.KindImage:
		err = when(len(w.users(model.KindContainer, o.ID)) > 0 || w.leased(o.object()), model.ErrInUse)
		layers = w.layersOnlyOf(o.ID)
	case kind == model.KindContainer:
		layers = []string{string(containerLayer(o.ID))}
		err = when(w.leased(o.object(), containerLayer(o.ID)), model.ErrInUse)
	}
	r := m.run(rt, by, o, err)
	if err != nil {
		return
	}
	if kind == model.KindImage && !slices.Equal(r.List, layers) {
		rt.Fatalf("layers %q went along instead of %q", r.List, layers)
	}
	delete(w.objects[kind], o.ID)
	for _, l := range layers {
		delete(w.objects[model.KindLayer], l)
	}
}

// force deletes an object by force, but no layer that is below another one: the
// content of that would not be defined any more.
func (m *machine) force(rt *rapid.T) {
	_, by := m.draw(rt)
	kind := drawKind(rt)
	o := op{Do: "delete", Kind: kind, ID: m.drawID(rt, kind, "id"), Force: true}
	if kind == model.KindLayer && len(m.world.children(o.ID)) > 0 {
		return
	}
	leased := m.world.leased(o.object()) || kind == model.KindContainer && m.world.leased(containerLayer(o.ID))
	if m.run(rt, by, o, first(m.unknown(kind, o.ID), when(leased, model.ErrLeased))).Err != "" {
		return
	}
	delete(m.world.objects[kind], o.ID)
	if kind == model.KindContainer {
		delete(m.world.objects[model.KindLayer], string(containerLayer(o.ID)))
	}
}

// recover finds nothing but what is staged: each of those has two paths.
func (m *machine) recover(rt *rapid.T) {
	_, by := m.draw(rt)
	r := m.run(rt, by, op{Do: "recover"}, nil)
	busy := 0
	for _, staged := range m.staged {
		busy += 2 * len(staged)
	}
	if len(r.List) > 0 || r.N != int64(busy) {
		rt.Fatalf("recovered %q, and %d are busy instead of %d", r.List, r.N, busy)
	}
}

// reopen closes a handle, which discards what it has staged, and opens it again.
func (m *machine) reopen(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "handle")
	if err := m.hands[i].store.Close(); err != nil {
		rt.Fatal(err)
	}
	m.openHandle(rt, i)
}

// killAgent kills the other process; what it has staged is garbage then.
func (m *machine) killAgent(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
		return // it is slow
	}
	_ = m.agent.child.Process.Kill()
	_ = m.agent.child.Wait()
	r := m.run(rt, m.hands[0], op{Do: "recover"}, nil)
	if len(r.List) != 2*len(m.staged[2]) {
		rt.Fatalf("recovered %q of %d layers", r.List, len(m.staged[2]))
	}
	m.staged[2] = map[string]*stagedLayer{}
	m.startAgent()
}

// check compares all records.
func (m *machine) check(rt *rapid.T) {
	s := m.hands[0].store
	err := s.View(m.t.Context(), func(tx *graph.ReadTx) error {
		got := map[model.Kind][]string{}
		ids, err := allIDs(tx)
		for _, id := range ids {
			got[id.Kind()] = append(got[id.Kind()], id.String())
			if object := m.world.objects[id.Kind()][id.String()]; object != nil {
				m.checkObject(rt, tx, id, object)
			}
		}
		for _, kind := range model.Kinds {
			slices.Sort(got[kind])
			if diff := cmp.Diff(m.world.ids(kind), got[kind]); diff != "" {
				rt.Fatalf("objects of kind %s (-want +got):\n%s", kind, diff)
			}
		}
		return errors.Join(err, checkSizes(tx))
	})
	if leases, errLeases := s.Leases(m.t.Context()); len(leases) != len(m.world.leases) || errLeases != nil {
		rt.Fatalf("leases are %v instead of %v: %v", leases, m.world.leases, errLeases)
	}
	for _, id := range m.world.ids(model.KindLayer) {
		n, errMounted := s.Mounted(m.t.Context(), id)
		if want := m.world.layer(id).mounts; n != uint64(want) {
			rt.Fatalf("layer %s is mounted %d times instead of %d", id, n, want)
		}
		err = errors.Join(err, errMounted)
	}
	if err != nil {
		rt.Fatal(err)
	}
}

// checkObject compares the record of an object.
func (m *machine) checkObject(rt *rapid.T, tx *graph.ReadTx, id model.ID, want *object) {
	names, errNames := tx.Names(id)
	metadata, errMetadata := tx.Metadata(id)
	items, errData := tx.Data(id)
	if err := errors.Join(errNames, errMetadata, errData); err != nil {
		rt.Fatal(err)
	}
	if !slices.Equal(names, want.names) || metadata != want.metadata {
		rt.Fatalf("%s %s has names %q and metadata %q", id.Kind(), id, names, metadata)
	}
	var keys []string
	for _, item := range items {
		keys = append(keys, item.Key)
		f, _, err := tx.OpenData(id, item.Key)
		if err != nil {
			rt.Fatal(err)
		}
		if text, err := readAllOf(f); err != nil || string(text) != want.data[item.Key] {
			rt.Fatalf("item %q of %s %s is %q: %v", item.Key, id.Kind(), id, text, err)
		}
	}
	if !slices.Equal(keys, want.keys) || len(keys) != len(maps.Clone(want.data)) {
		rt.Fatalf("%s %s has items %q instead of %q", id.Kind(), id, keys, want.keys)
	}
	on := ""
	switch id.Kind() {
	case model.KindLayer:
		l, err := tx.Layer(id.String())
		if err != nil || l.Made != want.made || l.Incomplete || (l.Diff != nil) != (want.diff != nil) {
			rt.Fatalf("layer is %+v, want made %v (%v)", l, want.made, err)
		}
		on = string(l.Parent)
	case model.KindImage:
		i, err := tx.Image(id.String())
		if err != nil || !slices.Equal(i.NamesHistory, want.history) {
			rt.Fatalf("image is %+v, want history %q (%v)", i, want.history, err)
		}
		on = string(i.TopLayer)
	case model.KindContainer:
		c, err := tx.Container(id.String())
		if err != nil {
			rt.Fatal(err)
		}
		on = string(c.Image)
	}
	if on != want.on {
		rt.Fatalf("%s %s is on %q instead of %q", id.Kind(), id, on, want.on)
	}
}
