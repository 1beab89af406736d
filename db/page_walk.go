package db

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// pageWalk visits every page of a database once. What it needs of memory and
// time goes by the pages that are there, not by what a damaged file claims.
type pageWalk struct {
	source pageSource
	meta   meta
	// proceed returns an error when the walk shall end.
	proceed func() error
	report  *PageReport
	// visited has the pages that have been read, without those that they flow
	// over into.
	visited map[uint64]bool
	uses    []pageUse
}

// maxTreeDepth is more than any tree can have whose pages hold two keys.
const maxTreeDepth = 64

func (w *pageWalk) problem(code ProblemCode, id uint64, expected, found string) {
	w.report.Problems = append(w.report.Problems, Problem{
		Code: code, Place: fmt.Sprintf("page %d", id), Expected: expected, Found: found,
	})
}

// walk visits the tree and the freelist, and then looks whether each page has
// exactly one use.
func (w *pageWalk) walk() error {
	if err := w.tree(w.meta.root, nil, nil, 0); err != nil {
		return err
	}
	complete := w.meta.freelist != noFreelist && w.freelist()
	w.account(complete)
	return nil
}

// claim reads a page and notes that it is used, with those that it flows over
// into. It returns nil if the page cannot be used, which is a problem with the
// given code.
func (w *pageWalk) claim(id uint64, code ProblemCode) *page {
	if w.visited[id] {
		w.problem(code, id, "a page that is used once", "a page that is used twice")
		return nil
	}
	w.visited[id] = true
	p, err := w.source.read(id)
	if err != nil {
		w.problem(code, id, "a page", err.Error())
		return nil
	}
	w.uses = append(w.uses, pageUse{first: id, last: id + uint64(p.overflow)})
	return p
}

// tree visits a branch or leaf page and all below it. Keys must lie in
// [low, high); nil means that there is no bound.
func (w *pageWalk) tree(id uint64, low, high []byte, depth int) error {
	if err := w.proceed(); err != nil {
		return err
	}
	if depth > maxTreeDepth {
		w.problem(ProblemPage, id, "a tree", "a tree that is too deep")
		return nil
	}
	p := w.claim(id, ProblemPage)
	if p == nil {
		return nil
	}
	if p.flags != flagBranch && p.flags != flagLeaf {
		w.problem(ProblemPage, id, "a branch or leaf page", "a "+p.kind()+" page")
		return nil
	}
	if p.count == 0 && depth > 0 { // only the root of all can be, see guard
		w.problem(ProblemPage, id, "a page with elements", "an empty page")
	}
	return w.elements(p, id, low, high, depth)
}

// elements looks at the elements of a page, which may lie in another one, and
// visits what is below them.
func (w *pageWalk) elements(p *page, id uint64, low, high []byte, depth int) error {
	var below []func() error
	var keys [][]byte
	err := p.each(func(i int, e element, key []byte) error {
		if low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			w.problem(ProblemPage, id, "keys in order", fmt.Sprintf("element %d (%.40q) in the wrong place", i, key))
		}
		keys = append(keys, key)
		switch {
		case p.flags == flagBranch:
			below = append(below, func() error {
				next := high
				if i+1 < len(keys) {
					next = keys[i+1]
				}
				return w.tree(e.child, key, next, depth+1)
			})
		case e.isBucket():
			below = append(below, func() error { return w.bucket(p, id, e, key, depth) })
		}
		return nil
	})
	if err != nil {
		w.problem(ProblemPage, id, "a page as it is written", err.Error())
	}
	for _, visit := range below {
		if err := visit(); err != nil {
			return err
		}
	}
	return nil
}

// bucket visits the tree of a bucket, which may lie in the element itself.
func (w *pageWalk) bucket(p *page, id uint64, e element, key []byte, depth int) error {
	root, inline, err := p.bucket(e)
	switch {
	case err != nil:
		w.problem(ProblemPage, id, "a bucket", fmt.Sprintf("bucket %.40q: %v", key, err))
		return nil
	case inline != nil:
		return w.elements(inline, id, nil, nil, depth+1)
	}
	return w.tree(root, nil, nil, depth+1)
}

// bucket returns the root page of the bucket that an element of a leaf page is,
// or the page that lies in the element.
func (p *page) bucket(e element) (root uint64, inline *page, err error) {
	if e.valueSize < bucketHeaderSize || e.valueSize > bucketHeaderSize+p.source.size {
		return 0, nil, fmt.Errorf("a header of %d bytes", e.valueSize)
	}
	value, err := p.bytes(e.start+e.keySize, e.valueSize)
	if err != nil {
		return 0, nil, err
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return root, nil, nil
	}
	inline, err = p.source.inlinePage(value)
	return 0, inline, err
}

// freelist notes the pages that are free. It returns false if the freelist
// cannot be read.
func (w *pageWalk) freelist() bool {
	p := w.claim(w.meta.freelist, ProblemFree)
	if p == nil {
		return false
	}
	free, err := p.freePages()
	if err != nil {
		w.problem(ProblemFree, p.id, "a freelist", err.Error())
		return false
	}
	w.report.Free = len(free)
	for _, id := range free {
		w.uses = append(w.uses, pageUse{first: id, last: id, free: true})
	}
	return true
}
