package page

import (
	"cmp"
	"fmt"
	"slices"
)

// space is how the space is divided among groups of things.
type space struct {
	Groups  []*group // the largest first
	Bytes   int64
	Unknown int // layers whose size is not known
	// Largest are the largest layers.
	Largest []*node
	Map     treemap
}

// group is things that take space for the same reason.
type group struct {
	Class string // of the page's style
	Title string
	About string
	Noun  string // one of them, "" if they are not told apart
	Cells []cell // the largest first
	Bytes int64
	Share int // in percent
}

// cell is one thing that takes space.
type cell struct {
	Label, Title string
	Bytes        int64
	// Layer is the index of the layer that it is, or NoParent.
	Layer int
}

// maxLargest is how many layers are listed by their size.
const maxLargest = 20

// groups are all that there are.
type groups struct{ shared, single, written, unneeded, data, tarSplits group }

// newGroups returns them with nothing in them.
func newGroups() *groups {
	return &groups{
		shared:    group{Class: "shared", Title: "Shared layers", Noun: "layer", About: "more than one image needs them"},
		single:    group{Class: "single", Title: "Layers of one image", Noun: "image", About: "they go when the image is deleted"},
		written:   group{Class: "written", Title: "Layers of containers", Noun: "container", About: "no image needs them, and a container does"},
		unneeded:  group{Class: "unneeded", Title: "Layers that nothing needs", Noun: "layer", About: "what csdb gc can remove is among them"},
		data:      group{Class: "data", Title: "Data items", Noun: "object", About: "what images and containers keep beside their layers"},
		tarSplits: group{Class: "tar-splits", Title: "Tar-splits", About: "the files from which the diffs of layers are reproduced"},
	}
}

// divide tells what takes the space.
func (p *Page) divide(f *forest) space {
	g := newGroups()
	g.addLayers(f.nodes)
	for _, d := range p.Data {
		g.data.add(cell{Label: d.Label, Title: "data items of " + d.Label, Bytes: d.Size, Layer: NoParent})
	}
	g.tarSplits.add(cell{Label: "tar-splits", Title: "all tar-splits", Bytes: p.TarSplits, Layer: NoParent})
	s := space{Largest: largest(f.nodes)}
	for _, n := range f.nodes {
		if n.Size < 0 {
			s.Unknown++
		}
	}
	s.sum([]*group{&g.shared, &g.single, &g.written, &g.unneeded, &g.data, &g.tarSplits})
	s.Map = s.draw(p.HumanSize)
	return s
}

// addLayers puts layers into their groups. Those that only one image needs, or
// only one container, are one thing together, which is what people know by name.
func (g *groups) addLayers(nodes []*node) {
	sums := make(map[*user]int64)
	var owners []*user
	for _, n := range nodes {
		owner := n.need.owner()
		switch {
		case owner != nil:
			if _, known := sums[owner]; !known {
				owners = append(owners, owner)
			}
			sums[owner] += max(n.Size, 0)
		case n.need.images > 1:
			g.shared.add(n.cell())
		case n.need.containers > 1:
			g.written.add(n.cell())
		default:
			g.unneeded.add(n.cell())
		}
	}
	for _, owner := range owners {
		c := cell{
			Label: owner.Title(), Title: "layers that only " + owner.Kind + " " + owner.Label() + " needs",
			Bytes: sums[owner], Layer: owner.tops[0].Index,
		}
		if owner.Kind == Image {
			g.single.add(c)
		} else {
			g.written.add(c)
		}
	}
}

func (g *group) add(c cell) {
	if c.Bytes > 0 {
		g.Cells = append(g.Cells, c)
		g.Bytes += c.Bytes
	}
}

// sum adds up the groups, orders everything by size and leaves out what takes no
// space.
func (s *space) sum(all []*group) {
	for _, g := range all {
		if g.Bytes > 0 {
			s.Groups = append(s.Groups, g)
			s.Bytes += g.Bytes
		}
		slices.SortStableFunc(g.Cells, func(a, b cell) int { return cmp.Compare(b.Bytes, a.Bytes) })
	}
	slices.SortStableFunc(s.Groups, func(a, b *group) int { return cmp.Compare(b.Bytes, a.Bytes) })
	for _, g := range s.Groups {
		g.Share = int(float64(g.Bytes) / float64(s.Bytes) * 100)
	}
}

// cell returns the layer as a thing that takes space.
func (n *node) cell() cell {
	title := "layer " + n.Short
	if n.Names != "" {
		title += " (" + n.Names + ")"
	}
	title += fmt.Sprintf(", needed by %s and %s", count(n.need.images, Image), count(n.need.containers, Container))
	return cell{Label: cmp.Or(n.Names, n.Short), Title: title, Bytes: n.Size, Layer: n.Index}
}

// Images and Containers are how many need the layer.

func (n *node) Images() int     { return n.need.images }
func (n *node) Containers() int { return n.need.containers }

// largest returns the largest layers.
func largest(nodes []*node) []*node {
	sized := slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return n.Size <= 0 })
	slices.SortStableFunc(sized, func(a, b *node) int { return cmp.Compare(b.Size, a.Size) })
	return sized[:min(len(sized), maxLargest)]
}
