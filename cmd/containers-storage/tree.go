package main

import (
	"fmt"

	"github.com/csdb/csdb/model"
)

// layerTree prints layers below their parents.
type layerTree struct {
	list     *layerList
	s        *session
	children map[model.LayerID][]*model.Layer
}

// printTree prints all layers as trees: one for the base layers, and one for
// each parent that is missing.
func (l *layerList) printTree(s *session) {
	tree := &layerTree{list: l, s: s, children: make(map[model.LayerID][]*model.Layer)}
	known := make(map[model.LayerID]bool)
	for _, layer := range l.layers {
		known[layer.ID] = true
	}
	var roots []model.LayerID
	for _, layer := range l.layers {
		siblings := tree.children[layer.Parent]
		if !known[layer.Parent] && len(siblings) == 0 {
			roots = append(roots, layer.Parent)
		}
		tree.children[layer.Parent] = append(siblings, layer)
	}
	for _, root := range roots {
		title := string(root)
		if root == "" {
			title = "(base)"
		}
		fmt.Fprintln(s.Stdout, title)
		tree.printChildren(root, "")
	}
}

// printChildren prints the layers on top of another one. indent is what every
// line begins with.
func (t *layerTree) printChildren(parent model.LayerID, indent string) {
	children := t.children[parent]
	for i, layer := range children {
		branch, below := "├─", "│ "
		if i == len(children)-1 {
			branch, below = "└─", "  "
		}
		fmt.Fprintf(t.s.Stdout, "%s%s%s\n", indent, branch, layer.ID)
		for _, note := range t.list.notes(layer) {
			fmt.Fprintf(t.s.Stdout, "%s%s%s\n", indent, below, note)
		}
		t.printChildren(layer.ID, indent+below)
	}
}

// notes returns what is said about a layer in the tree.
func (l *layerList) notes(layer *model.Layer) []string {
	notes := labeled("name", layer.Names)
	if path, mounted := l.mounts[layer.ID]; mounted {
		notes = append(notes, "mount: "+path)
	}
	for _, image := range l.images[layer.ID] {
		notes = append(notes, "image: "+string(image.ID))
		notes = append(notes, labeled("image name", image.Names)...)
	}
	if c := l.containers[layer.ID]; c != nil {
		notes = append(notes, "container: "+string(c.ID))
		notes = append(notes, labeled("container name", c.Names)...)
	}
	return notes
}

// labeled returns a line for each value.
func labeled(label string, values []string) []string {
	lines := make([]string, len(values))
	for i, value := range values {
		lines[i] = label + ": " + value
	}
	return lines
}
