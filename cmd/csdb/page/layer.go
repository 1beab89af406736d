package page

import (
	"cmp"
	"slices"
)

// NoParent is the parent of a layer that lies on none.
const NoParent = -1

// Layer is a layer of the store.
type Layer struct {
	ID    string // in full
	Short string // as people write it
	Names string // "" if it has none
	// Parent is the index of the layer it lies on, or NoParent.
	Parent int
	Size   int64 // of its own content in bytes, negative if it is not known
	// Users are the images whose top layer it is, and the containers whose own
	// layer it is.
	Users []User
	// Notes say what is unusual about it.
	Notes []string
	// Findings are the indexes of findings that are about it.
	Findings []int
}

// The kinds of users.
const (
	Image     = "image"
	Container = "container"
)

// User is an image or a container.
type User struct {
	Kind  string
	ID    string // in full
	Short string // as people write it
	Name  string // the first of its names, "" if it has none
	Names string // as many as there is room for
	// Note says what is unusual about it, or is empty.
	Note string
	// Findings are the indexes of findings that are about it.
	Findings []int
}

// Title names the user in one word.
func (u User) Title() string { return cmp.Or(u.Name, u.Short) }

// Label names the user in few words.
func (u User) Label() string { return cmp.Or(u.Names, u.Short) }

// plain tells whether there is nothing to say about the layer itself but its
// size.
func (l *Layer) plain() bool { return l.Names == "" && len(l.Notes) == 0 && len(l.Findings) == 0 }

// node is a layer among the others.
type node struct {
	*Layer
	Index    int
	parent   *node
	children []*node
	// Chips are its users, and the containers whose layers lie on it and hold
	// nothing else.
	Chips []chip
	// layers, images, containers, faults and bytes sum up the layer and all that
	// lies on it.
	layers, images, containers, faults int
	bytes                              int64
	// chip tells that it is shown as a chip of its parent.
	chip bool
	need need
	// Share is its size in percent of the largest layer.
	Share int
}

// chip is an image or a container as it is shown on a layer.
type chip struct {
	User
	// Own is the container's own layer, nil if that is shown by itself.
	Own *node
}

// link makes nodes of layers.
func link(layers []Layer) []*node {
	nodes := make([]*node, len(layers))
	var largest int64
	for i := range layers {
		n := &node{Layer: &layers[i], Index: i, layers: 1, bytes: max(layers[i].Size, 0)}
		nodes[i] = n
		largest = max(largest, n.Size)
		if n.Parent >= 0 && n.Parent < i {
			n.parent = nodes[n.Parent]
			n.parent.children = append(n.parent.children, n)
		}
	}
	for _, n := range slices.Backward(nodes) {
		n.sum(largest)
	}
	countNeeds(nodes)
	return nodes
}

// sum adds up what lies on a layer, when that has been done for its children.
func (n *node) sum(largest int64) {
	if n.Size > 0 {
		n.Share = max(1, int(float64(n.Size)/float64(largest)*100))
	}
	if !n.plain() {
		n.faults += len(n.Findings) + len(n.Notes)
	}
	for _, user := range n.Users {
		n.Chips = append(n.Chips, chip{User: user})
		n.faults += len(user.Findings)
		if user.Kind == Image {
			n.images++
		} else {
			n.containers++
		}
	}
	n.chip = n.parent != nil && len(n.children) == 0 && len(n.Users) == 1 && n.Users[0].Kind == Container && n.plain()
	for _, child := range n.children {
		n.layers += child.layers
		n.images += child.images
		n.containers += child.containers
		n.faults += child.faults
		n.bytes += child.bytes
		if child.chip {
			n.Chips = append(n.Chips, chip{User: child.Users[0], Own: child})
		}
	}
}
