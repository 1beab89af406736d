package page

// forest is all layers as they are drawn. As in a drawing of a railway, there
// are lines: a line begins at a layer and goes on to what lies on it, as long as
// there is one way to go, or one that has by far the most behind it. Other ways
// are branches, which are drawn beside the line.
//
// A branch has at most three quarters of what lies on a layer, so the depth to
// which branches are nested is at most the logarithm of the number of layers to
// the base 4/3: 27 for two thousand.
type forest struct {
	nodes []*node
	Bases folded[*branch]
}

// branch is a line with what branches off it.
type branch struct {
	First *node
	Rows  []row
	// Open tells that it is not folded at first.
	Open bool
}

// row is a layer of a line, or several of which there is nothing to say.
type row struct {
	Layer    *node
	Chips    folded[chip]
	Branches folded[*branch]
	// Run are the layers if there are several.
	Run []*node
}

// folded is a list of which some are shown at first and others on request.
type folded[T any] struct{ Shown, More []T }

// Limits of what is shown at first.
const (
	maxBases    = 60
	maxBranches = 20
	maxChips    = 12
	maxOpenRows = 80
	// minRun is how many layers in a row are worth being folded.
	minRun = 3
)

func fold[T any](all []T, limit int) folded[T] {
	if len(all) <= limit+1 { // a fold for one takes as much room as that one
		return folded[T]{Shown: all}
	}
	return folded[T]{Shown: all[:limit], More: all[limit:]}
}

// arrange makes the drawing.
func arrange(layers []Layer) *forest {
	f := &forest{nodes: link(layers)}
	var bases []*branch
	for _, n := range f.nodes {
		if n.parent == nil {
			bases = append(bases, draw(n))
		}
	}
	f.Bases = fold(bases, maxBases)
	unfold(bases)
	return f
}

// draw draws a layer and what lies on it. The depth of the recursion is that of
// the branches.
func draw(first *node) *branch {
	b := &branch{First: first}
	for n := first; n != nil; {
		next, others := n.onward()
		branches := make([]*branch, 0, len(others))
		for _, other := range others {
			branches = append(branches, draw(other))
		}
		b.Rows = append(b.Rows, row{Layer: n, Chips: fold(n.Chips, maxChips), Branches: fold(branches, maxBranches)})
		n = next
	}
	b.foldRuns()
	return b
}

// onward returns the layer with which the line goes on, if any, and those with
// which branches begin.
func (n *node) onward() (next *node, others []*node) {
	sum := 0
	for _, child := range n.children {
		if !child.chip {
			sum += child.layers
		}
	}
	for _, child := range n.children {
		switch {
		case child.chip:
		case child.layers*4 > sum*3:
			next = child
		default:
			others = append(others, child)
		}
	}
	return next, others
}

// foldRuns makes one row of several of which there is nothing to say.
func (b *branch) foldRuns() {
	var rows []row
	for i := 0; i < len(b.Rows); {
		end := i
		for end < len(b.Rows) && b.Rows[end].idle() {
			end++
		}
		if end-i < minRun {
			end = max(end, i+1)
			rows = append(rows, b.Rows[i:end]...)
		} else {
			run := row{}
			for _, r := range b.Rows[i:end] {
				run.Run = append(run.Run, r.Layer)
			}
			rows = append(rows, run)
		}
		i = end
	}
	b.Rows = rows
}

// idle tells whether there is nothing to say about the layer.
func (r *row) idle() bool {
	return r.Layer.plain() && len(r.Chips.Shown) == 0 && len(r.Branches.Shown) == 0
}

// unfold opens branches, those near the bases first, until enough is shown.
func unfold(level []*branch) {
	for rows := 0; len(level) > 0; {
		var next []*branch
		for _, b := range level {
			below := b.branches()
			if rows += len(b.Rows) + len(below); rows > maxOpenRows {
				return
			}
			b.Open = true
			next = append(next, below...)
		}
		level = next
	}
}

// branches returns the branches that are shown when it is open.
func (b *branch) branches() (all []*branch) {
	for _, r := range b.Rows {
		all = append(all, r.Branches.Shown...)
	}
	return all
}

// maxTitles is how many images and containers name a branch.
const maxTitles = 2

// Titles returns what names the branch: its images or, if it has none, its
// containers. There may be more.
func (b *branch) Titles() (titles []string) {
	titles = b.First.titles(Image)
	if len(titles) == 0 {
		titles = b.First.titles(Container)
	}
	return titles
}

// titles returns the names of the first few users of a layer and of those that
// lie on it, whatever lies nearest first.
func (n *node) titles(kind string) (titles []string) {
	for level := []*node{n}; len(level) > 0 && len(titles) < maxTitles; level = level[1:] {
		for _, u := range level[0].Users {
			if u.Kind == kind && len(titles) < maxTitles {
				titles = append(titles, u.Title())
			}
		}
		for _, child := range level[0].children {
			if kind == Image && child.images > 0 || kind == Container && child.containers > 0 {
				level = append(level, child)
			}
		}
	}
	return titles
}

// Untitled is how many more images the branch has, or containers if it has no
// image.
func (b *branch) Untitled() int {
	n := b.First.images
	if n == 0 {
		n = b.First.containers
	}
	return n - len(b.Titles())
}

// What the line and its branches hold.

func (b *branch) Layers() int     { return b.First.layers }
func (b *branch) Images() int     { return b.First.images }
func (b *branch) Containers() int { return b.First.containers }
func (b *branch) Faults() int     { return b.First.faults }
func (b *branch) Bytes() int64    { return b.First.bytes }

// First and Last of a run, and its size in bytes.

func (r *row) First() *node { return r.Run[0] }
func (r *row) Last() *node  { return r.Run[len(r.Run)-1] }

// Bytes returns the size of the run.
func (r *row) Bytes() (sum int64) {
	for _, n := range r.Run {
		sum += max(n.Size, 0)
	}
	return sum
}
