package db

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// guard looks at the pages that bbolt is about to follow. bbolt believes every
// page that calls itself what it is expected to be, and most damage then ends
// in a panic, which can be caught. But in a tree that bites its own tail bbolt
// descends until the process has no memory left, and nobody can stop it.
//
// So each operation is preceded by a look at the pages between the root and its
// key. They are those of the state in which the transaction began: until the
// commit bbolt keeps what has changed in memory, in the same tree. The cost is
// that of a second search.
type guard struct {
	source pageSource
	// top is the root page of the bucket that contains all others: the only
	// page that may be empty, since bbolt keeps small buckets in their parents.
	top uint64
	// seen has pages that are as they should be.
	seen map[uint64]*page
	// buffers has memory for pages that transactions leave to later ones; it
	// may be nil.
	buffers *sync.Pool
}

// end leaves the memory of the guard to others.
func (g *guard) end() {
	for _, p := range g.seen {
		if g.buffers != nil && int64(len(p.head)) == g.source.size {
			g.buffers.Put(&p.head)
		}
	}
	g.seen = nil
}

// buffer returns memory for a page.
func (g *guard) buffer() []byte {
	if g.buffers != nil {
		if b, ok := g.buffers.Get().(*[]byte); ok {
			return *b
		}
	}
	return make([]byte, g.source.size)
}

// maxSeen bounds the memory of a guard: it is the number of pages that it
// remembers.
const maxSeen = 64

// place is where a key is, or belongs, in the tree of a bucket.
type place struct {
	leaf  *page // nil if the bucket has no page yet
	index int
	exact bool // the element at index has the key
	// next is the least key behind the leaf, if there is a leaf behind it.
	next []byte
	// branches are the pages from the root to the leaf, and indexes the
	// elements of them that were followed.
	branches []*page
	indexes  []int
}

// read returns a page that is as it should be.
func (g *guard) read(id uint64) (*page, error) {
	if p := g.seen[id]; p != nil {
		return p, nil
	}
	p, err := g.source.readInto(id, g.buffer())
	if err != nil {
		return nil, err
	}
	if p.flags != flagBranch && p.flags != flagLeaf {
		return nil, fmt.Errorf("page %d is a %s page instead of a branch or leaf page", id, p.kind())
	}
	if p.flags == flagBranch && p.count == 0 {
		return nil, fmt.Errorf("page %d is a branch page without branches", id)
	}
	if err := p.each(nil); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if len(g.seen) >= maxSeen || g.seen == nil {
		g.seen = make(map[uint64]*page, maxSeen)
	}
	g.seen[id] = p
	return p, nil
}

// find descends from the root page of a bucket to a key.
func (g *guard) find(root uint64, key []byte) (place, error) {
	var to place
	var low []byte
	for id := root; ; {
		if len(to.branches) > maxTreeDepth {
			return to, fmt.Errorf("page %d: the tree is too deep", id)
		}
		p, err := g.read(id)
		if err != nil {
			return to, err
		}
		if err := p.within(low, to.next); err != nil {
			return to, err
		}
		index, exact, err := p.search(key)
		if err != nil {
			return to, err
		}
		if p.flags == flagLeaf {
			if p.count == 0 && id != g.top {
				return to, fmt.Errorf("page %d is empty", id)
			}
			to.leaf, to.index, to.exact = p, index, exact
			return to, nil
		}
		if index+1 < p.count {
			if to.next, err = p.keyAt(index + 1); err != nil {
				return to, err
			}
		}
		e, err := p.element(index)
		if err != nil {
			return to, err
		}
		if low, err = p.key(e); err != nil {
			return to, err
		}
		to.branches, to.indexes = append(to.branches, p), append(to.indexes, index)
		id = e.child
	}
}

// neighbors looks at the pages beside those on the way to a place, with which
// bbolt may join them when something has been deleted.
func (g *guard) neighbors(to place) error {
	for level, branch := range to.branches {
		below := to.leaf
		if level+1 < len(to.branches) {
			below = to.branches[level+1]
		}
		for _, index := range []int{to.indexes[level] - 1, to.indexes[level] + 1} {
			if index < 0 || index >= branch.count {
				continue
			}
			e, err := branch.element(index)
			if err != nil {
				return err
			}
			beside, err := g.read(e.child)
			if err != nil {
				return err
			}
			if beside.flags != below.flags || beside == below || slices.Contains(to.branches, beside) {
				return fmt.Errorf("page %d does not belong beside page %d", beside.id, below.id)
			}
		}
	}
	return nil
}

// whole looks at all pages of a bucket and of the buckets in it.
func (g *guard) whole(to place) error {
	e, err := to.leaf.element(to.index)
	if err != nil {
		return err
	}
	w := &pageWalk{
		source:  g.source,
		proceed: func() error { return nil },
		report:  &PageReport{},
		visited: make(map[uint64]bool),
	}
	if err := w.bucket(to.leaf, to.leaf.id, e, nil, 0); err != nil {
		return err
	}
	if len(w.report.Problems) > 0 {
		return errors.New(w.report.Problems[0].String())
	}
	return nil
}

// within makes sure that the keys of a page lie in [low, high), where bbolt
// looks for them; nil means that there is no bound. Otherwise something that is
// there would be taken for something that is not.
func (p *page) within(low, high []byte) error {
	if p.count == 0 {
		return nil
	}
	first, err := p.keyAt(0)
	if err != nil {
		return err
	}
	last, err := p.keyAt(p.count - 1)
	if err != nil {
		return err
	}
	if low != nil && bytes.Compare(first, low) < 0 || high != nil && bytes.Compare(last, high) >= 0 {
		return fmt.Errorf("page %d has keys that belong elsewhere", p.id)
	}
	return nil
}

// keyAt returns the key of an element.
func (p *page) keyAt(index int) ([]byte, error) {
	e, err := p.element(index)
	if err != nil {
		return nil, err
	}
	return p.key(e)
}
