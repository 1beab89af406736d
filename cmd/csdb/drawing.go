package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/csdb/csdb/model"
)

// lines are the pieces that a tree is drawn with.
type lines struct{ branch, last, trunk, gap string }

// linesFor returns those that the terminal can show, by the variables that say
// which characters it knows (locale(7)).
func linesFor(getenv func(string) string) lines {
	locale := strings.ToUpper(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	if strings.HasSuffix(locale, "UTF-8") || strings.HasSuffix(locale, "UTF8") {
		return lines{branch: "├─ ", last: "└─ ", trunk: "│  ", gap: "   "}
	}
	return lines{branch: "|- ", last: "`- ", trunk: "|  ", gap: "   "}
}

// drawing draws a forest.
type drawing struct {
	out   io.Writer
	lines lines
	all   bool // every layer gets a line
}

// item is a line of the drawing with what hangs on it.
type item struct {
	text string
	node *layerNode // whose users and children hang on it; nil for a leaf
}

func (d *drawing) forest(f *forest) {
	for _, root := range f.roots {
		root := d.item(root)
		fmt.Fprintln(d.out, root.text)
		d.below(root, "")
	}
	for _, o := range f.loose {
		text := describeUser(&o)
		if o.Layer != "" {
			text += ": " + f.missing("layer", o.Layer)
		}
		fmt.Fprintln(d.out, text)
	}
}

// below draws what hangs on an item. The depth of the recursion is that of the
// layers.
func (d *drawing) below(i item, indent string) {
	if i.node == nil {
		return
	}
	var items []item
	for _, user := range i.node.users {
		items = append(items, item{text: describeUser(&user)})
	}
	for _, child := range i.node.children {
		items = append(items, d.item(child))
	}
	for n, next := range items {
		piece, deeper := d.lines.branch, d.lines.trunk
		if n == len(items)-1 {
			piece, deeper = d.lines.last, d.lines.gap
		}
		fmt.Fprintln(d.out, indent+piece+next.text)
		d.below(next, indent+deeper)
	}
}

// minRow is how many layers in a row are worth drawing as one.
const minRow = 3

// item makes the line of a layer, of a row of layers, or of a container's own
// layer, which is shown as the container.
func (d *drawing) item(n *layerNode) item {
	if d.all {
		return item{text: describeLayer(n), node: n}
	}
	if len(n.users) == 1 && n.users[0].Kind == model.KindContainer && len(n.children) == 0 && n.plain() {
		return item{text: fmt.Sprintf("%s, layer %s", describeUser(&n.users[0]), describeLayer(n))}
	}
	last, count, size := n, 1, max(n.content, 0)
	for len(last.children) == 1 && len(last.users) == 0 && last.plain() && last.children[0].plain() {
		last = last.children[0]
		count++
		size += max(last.content, 0)
	}
	if count < minRow {
		return item{text: describeLayer(n), node: n}
	}
	return item{
		text: fmt.Sprintf("%s ... %s  %d layers, %s", shortID(n.ID), shortID(last.ID), count, humanSize(size)),
		node: last,
	}
}

// plain tells whether there is nothing to say about the layer but its size.
func (n *layerNode) plain() bool {
	return len(n.Names) == 0 && !n.Incomplete && n.Damage == "" && n.fault == ""
}

func describeLayer(n *layerNode) string {
	text := shortID(n.ID)
	if len(n.Names) > 0 {
		text += " (" + names(n.Names) + ")"
	}
	text += "  " + humanSize(n.content)
	if n.Incomplete {
		text += ", incomplete"
	}
	if n.Damage != "" {
		text += ", in quarantine because of " + n.Damage
	}
	if n.fault != "" {
		text += ", " + n.fault
	}
	return text
}

func describeUser(o *object) string {
	text := string(o.Kind) + " " + shortID(o.ID)
	if len(o.Names) > 0 {
		text += " (" + names(o.Names) + ")"
	}
	return text
}
