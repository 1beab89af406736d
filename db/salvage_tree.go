package db

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/csdb/csdb/model"
)

// treeReader reads the tree of one transaction, as far as it is intact.
type treeReader struct {
	ctx    context.Context //nolint:containedctx // It lives as long as one tree is read.
	source pageSource
	meta   meta
	// free has the pages that are free, nil if that is not known.
	free map[uint64]bool
	// cutOff tells that there are pages which are in use, according to the list
	// of free ones, and to which the tree does not lead.
	cutOff bool
	// reached has the pages that have been read, with those that they flow over
	// into.
	reached map[uint64]bool
	way     []uint64 // the same, in the order of reading
	gaps    *gaps
	// intact and broken count the values.
	intact, broken int
	// found is called for each value that is intact, and damaged for each one
	// that is not.
	found   func(path []string, key []byte, record any, page uint64)
	damaged func(path []string, key []byte, page uint64)
}

// newTreeReader prepares reading the tree that a meta page describes, in a file
// that may have become shorter.
func newTreeReader(ctx context.Context, m meta, source pageSource) *treeReader {
	source.count = min(source.count, m.pageCount)
	r := &treeReader{ctx: ctx, source: source, meta: m, reached: make(map[uint64]bool), gaps: newGaps()}
	r.readFree()
	return r
}

// readFree reads the list of free pages.
func (r *treeReader) readFree() {
	if r.meta.freelist == noFreelist {
		return
	}
	p, err := r.source.read(r.meta.freelist)
	if err != nil {
		return
	}
	// The list may speak of pages behind the end of a file that is too short.
	p.source.count = r.meta.pageCount
	free, err := p.freePages()
	if err != nil || p.listGoesOn(len(free)) {
		return
	}
	r.free = make(map[uint64]bool, len(free))
	for _, id := range free {
		r.free[id] = true
	}
	r.reach(p)
}

// listGoesOn tells whether there is something behind the end of a list of free
// pages, because its length is wrong: bbolt leaves zeros there.
func (p *page) listGoesOn(count int) bool {
	if p.count == manyFree {
		count++
	}
	next, err := p.bytes(pageHeaderSize+8*int64(count), 8)
	return err == nil && pageHeaderSize+8*int64(count+1) <= p.size && binary.LittleEndian.Uint64(next) != 0
}

func (r *treeReader) reach(p *page) {
	for id := p.id; id <= p.id+uint64(p.overflow); id++ {
		r.reached[id] = true
		r.way = append(r.way, id)
	}
}

// span is a page that is to be read: where it is, and what should be in it.
type span struct {
	path      []string
	low, high []byte
	depth     int
	// above has the pages of the same bucket that lie above it.
	above map[uint64]bool
}

// read reads the whole tree.
func (r *treeReader) read() error {
	if err := r.page(r.meta.root, span{above: make(map[uint64]bool)}); err != nil {
		return err
	}
	r.account()
	return nil
}

// account compares the tree with the list of free pages. A list that has a page
// of the tree in it is not to be trusted.
func (r *treeReader) account() {
	for id := range r.free {
		if r.reached[id] {
			r.free = nil
			return
		}
	}
	for id := uint64(2); id < r.source.count && r.free != nil && !r.cutOff; id++ {
		r.cutOff = !r.reached[id] && !r.free[id]
	}
}

// whole tells whether nothing is missing.
func (r *treeReader) whole() bool { return r.gaps.none() && !r.cutOff }

// lose notes that what should be in a page cannot be read.
func (r *treeReader) lose(s span) { r.gaps.add(gap{path: s.path, low: s.low, high: s.high}) }

// page reads a page and what is below it.
func (r *treeReader) page(id uint64, s span) error {
	if err := context.Cause(r.ctx); err != nil {
		return err
	}
	if s.depth > maxTreeDepth || s.above[id] {
		r.lose(s)
		return nil
	}
	p, err := r.source.read(id)
	if err != nil || !r.isSound(p, s) {
		// Whoever reads all pages finds what is in it.
		r.lose(s)
		return nil //nolint:nilerr // What is damaged is noted, and is no error.
	}
	r.reach(p)
	s.above[id] = true
	if p.flags == flagBranch {
		return r.branch(p, s)
	}
	return r.leaf(p, s)
}

// isSound tells whether a page is as bbolt writes it, and belongs where it is.
func (r *treeReader) isSound(p *page, s span) bool {
	if p.flags != flagBranch && p.flags != flagLeaf || p.count == 0 && len(s.path) > 0 {
		return false
	}
	return p.each(nil) == nil && p.within(s.low, s.high) == nil
}

// branch reads what is below a branch page.
func (r *treeReader) branch(p *page, s span) error {
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			r.lose(s)
			return nil //nolint:nilerr // The same.
		}
		below := span{path: s.path, low: s.low, high: s.high, depth: s.depth + 1, above: s.above}
		if i > 0 {
			if below.low, err = p.key(e); err != nil {
				r.lose(s)
				return nil //nolint:nilerr // The same.
			}
		}
		if i+1 < p.count {
			if below.high, err = p.keyAt(i + 1); err != nil {
				r.lose(s)
				return nil //nolint:nilerr // The same.
			}
		}
		if err := r.page(e.child, below); err != nil {
			return err
		}
	}
	return nil
}

// leaf reads the values of a leaf page and the buckets in it. Around a value
// that is not intact there is a gap, up to the next keys that are certain:
// its key may be what is damaged.
func (r *treeReader) leaf(p *page, s span) error {
	low, open, broken := s.low, false, false
	for i := range p.count {
		e, err := p.element(i)
		var key []byte
		if err == nil {
			key, err = p.key(e)
		}
		good := false
		if err == nil {
			if good, err = r.element(p, e, key, s); err != nil {
				return err
			}
		}
		if !good {
			broken = true
			continue
		}
		if broken {
			r.gaps.add(gap{path: s.path, low: low, high: key, open: open})
		}
		low, open, broken = key, true, false
	}
	if broken {
		r.gaps.add(gap{path: s.path, low: low, high: s.high, open: open})
	}
	return nil
}

// element reads a value or a bucket, and returns whether it is intact.
func (r *treeReader) element(p *page, e element, key []byte, s span) (good bool, err error) {
	if e.isBucket() {
		return r.bucket(p, e, append(slices.Clip(s.path), string(key)), s.depth)
	}
	in := bucketOf(s.path)
	value, err := p.bytes(e.start+e.keySize, e.valueSize)
	if err == nil && in != "" {
		var record any
		if record, err = decodeIndexed(in, key, value); err == nil {
			r.intact++
			r.found(s.path, key, record, p.id)
			return true, nil
		}
	}
	r.broken++
	r.damaged(s.path, key, p.id)
	return false, nil
}

// decodeIndexed is decodeValue for a value whose place says what it is.
func decodeIndexed(in bucket, key, value []byte) (any, error) {
	if len(value) == 0 && indexKind(in) != "" {
		return indexEntry{}, nil
	}
	record, err := decodeValue(in, key, value)
	if record == nil && err == nil {
		_, err = unseal(in, key, value)
	}
	return record, err
}

// indexEntry is an index entry that says all with its key.
type indexEntry struct{}

// indexKind returns the kind of the objects that the entries of an index follow
// from, "" if the bucket is no index without values.
func indexKind(in bucket) model.Kind {
	switch in { //nolint:exhaustive // Others are no such indexes.
	case bucketChildren, bucketDiffDigest, bucketCompressedDigest, bucketTOCDigest:
		return model.KindLayer
	case bucketLayerImages, bucketImageDigest:
		return model.KindImage
	case bucketLayerContainers, bucketImageContainers:
		return model.KindContainer
	}
	return ""
}

// bucket reads a bucket, which may lie in the element itself, and returns whether
// it is one that belongs there. The name of an embedding program's bucket may be
// damaged: then no checksum in it is right.
func (r *treeReader) bucket(p *page, e element, path []string, depth int) (good bool, err error) {
	if !mayExist(path) {
		return false, nil
	}
	root, inline, err := p.bucket(e)
	if err != nil || inline != nil && inline.each(nil) != nil {
		return false, nil //nolint:nilerr // That it is damaged is what false says.
	}
	intact, broken, reached := r.intact, r.broken, len(r.way)
	below := span{path: path, depth: depth + 1, above: make(map[uint64]bool)}
	if inline == nil {
		err = r.page(root, below)
	} else {
		inline.id = p.id // for those who are told where something was found
		err = r.leaf(inline, below)
	}
	if err != nil || len(path) == 2 || r.intact > intact || r.broken == broken {
		return true, err
	}
	// Whoever reads all pages may find out what it is.
	for _, id := range append(r.way[reached:], p.id) {
		delete(r.reached, id)
	}
	return false, nil
}

// mayExist tells whether there can be a bucket with a path.
func mayExist(path []string) bool {
	switch len(path) {
	case 1:
		return path[0] == rootBucket
	case 2:
		return slices.Contains(buckets, bucket(path[1]))
	}
	return path[1] == string(bucketApps) && len(path) <= MaxNesting+2
}
