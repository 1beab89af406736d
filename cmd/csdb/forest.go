package main

import (
	"slices"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// forest is all layers by what they lie on.
type forest struct {
	roots []*layerNode
	nodes map[model.LayerID]*layerNode
	// loose are images and containers whose layers have no record, or that
	// have none.
	loose []object
	// elsewhere has the roots of the other stores that layers are noted to be in.
	elsewhere map[model.LayerID]string
}

// missing says why a layer is not in the forest that is the parent of another one,
// or to which something belongs.
func (f *forest) missing(relation string, id model.LayerID) string {
	if root, known := f.elsewhere[id]; known {
		return "its " + relation + " " + shortID(string(id)) + " is in the store " + root
	}
	return "its " + relation + " " + shortID(string(id)) + " has no record that can be read"
}

// layerNode is a layer in the forest.
type layerNode struct {
	object
	parent   *layerNode
	children []*layerNode
	users    []object // images, then containers
	// fault says what is wrong with what it lies on.
	fault string
}

// loadForest reads all records. What is damaged is noted and left out.
func loadForest(tx *graph.ReadTx, damaged *damages) (*forest, error) {
	f := &forest{nodes: make(map[model.LayerID]*layerNode), elsewhere: make(map[model.LayerID]string)}
	relations, err := tx.Relations()
	if err := damaged.note(err); err != nil {
		return nil, err
	}
	for _, e := range relations.Elsewhere {
		if e.Kind == model.KindLayer {
			f.elsewhere[model.LayerID(e.ID)] = e.Root
		}
	}
	layers, err := loadObjects(tx, model.KindLayer, damaged)
	if err != nil {
		return nil, err
	}
	order := make([]*layerNode, 0, len(layers))
	for _, layer := range layers {
		node := &layerNode{object: layer}
		f.nodes[model.LayerID(layer.ID)] = node
		order = append(order, node)
	}
	f.join(order)
	for _, kind := range []model.Kind{model.KindImage, model.KindContainer} {
		objects, err := loadObjects(tx, kind, damaged)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			f.place(object)
		}
	}
	return f, nil
}

// join connects layers with their parents. Layers without one that has a record
// become roots, and so does one of those that are their own ancestors.
func (f *forest) join(order []*layerNode) {
	for _, node := range order {
		parent, known := f.nodes[node.Parent]
		switch {
		case known:
			node.parent = parent
			parent.children = append(parent.children, node)
			continue
		case node.Parent != "":
			node.fault = f.missing("parent", node.Parent)
		}
		f.roots = append(f.roots, node)
	}
	reached := make(map[*layerNode]bool)
	for _, root := range f.roots {
		root.walk(func(n *layerNode) { reached[n] = true })
	}
	for _, node := range order {
		if reached[node] {
			continue
		}
		// Whatever has not been reached lies in or on a circle.
		node.fault = "it is its own ancestor, or lies on one that is"
		node.parent.children = slices.DeleteFunc(node.parent.children, func(n *layerNode) bool { return n == node })
		node.parent = nil
		f.roots = append(f.roots, node)
		node.walk(func(n *layerNode) { reached[n] = true })
	}
}

// walk calls fn for the layer and all that lie on it.
func (n *layerNode) walk(fn func(*layerNode)) {
	for pending := []*layerNode{n}; len(pending) > 0; {
		next := pending[len(pending)-1]
		pending = append(pending[:len(pending)-1], next.children...)
		fn(next)
	}
}

// place puts an image or a container on its layers.
func (f *forest) place(o object) {
	placed := false
	for _, layer := range append([]model.LayerID{o.Layer}, o.Mapped...) {
		if node := f.nodes[layer]; node != nil {
			node.users = append(node.users, o)
			placed = true
		}
	}
	if !placed {
		f.loose = append(f.loose, o)
	}
}

// prune leaves of the forest what a layer lies on and what lies on it.
func (f *forest) prune(layer model.LayerID) {
	node := f.nodes[layer]
	f.loose = slices.DeleteFunc(f.loose, func(o object) bool { return node != nil || o.Layer != layer })
	if node == nil {
		f.roots = nil
		return
	}
	for node.parent != nil {
		node.parent.children = []*layerNode{node}
		node.parent.users = nil
		node = node.parent
	}
	f.roots = []*layerNode{node}
}

// flatForest is the forest as a list.
type flatForest struct {
	// Layers are in the order of the tree: a layer before those on it.
	Layers []flatLayer `json:"layers"`
	// Loose are images and containers without a layer that has a record.
	Loose []object `json:"loose"`
}

// flatLayer is a layer in a flatForest.
type flatLayer struct {
	object
	Depth int   `json:"depth"` // the number of its ancestors
	Size  int64 `json:"size"`  // of its own content in bytes, or model.SizeUnknown
	// Users are the images whose top layer it is and the containers whose own
	// layer it is.
	Users []object `json:"users"`
	Fault string   `json:"fault,omitempty"`
}

// flatten writes the forest as a list.
func (f *forest) flatten() flatForest {
	flat := flatForest{Layers: []flatLayer{}, Loose: append([]object{}, f.loose...)}
	depths := make(map[*layerNode]int)
	for _, root := range f.roots {
		for pending := []*layerNode{root}; len(pending) > 0; {
			n := pending[len(pending)-1]
			pending = pending[:len(pending)-1]
			flat.Layers = append(flat.Layers, flatLayer{
				object: n.object, Depth: depths[n], Size: n.content, Users: append([]object{}, n.users...), Fault: n.fault,
			})
			for _, child := range slices.Backward(n.children) {
				depths[child] = depths[n] + 1
				pending = append(pending, child)
			}
		}
	}
	return flat
}
