package db

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// PageReport is what CheckFile finds out about the pages of a database file.
type PageReport struct {
	// TxID is the last transaction that was committed.
	TxID uint64
	// PageSize is in bytes. Pages are all pages up to the highest one ever
	// used, Free those of them that hold nothing.
	PageSize, Pages, Free int
	// Problems are ordered by what they are about.
	Problems []Problem
}

// ProblemPage is the code of everything that is wrong with pages, and
// ProblemMeta that of a damaged meta page while the other one is intact.
const (
	ProblemPage ProblemCode = "page"
	ProblemMeta ProblemCode = "meta"
)

// CheckFile looks at the pages of a database file that nobody writes to:
// whether they form a tree whose keys are in order, and whether each page is
// either part of it or free. It opens the file for reading only, and takes no
// lock. An error means that it could not look, or that there is no database
// in the file.
func CheckFile(ctx context.Context, path string) (*PageReport, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file", path, model.ErrInvalid)
	}
	return checkPages(ctx, f, path, info.Size(), nil)
}

// CheckPages is CheckFile for the state that the transaction sees. Others may
// write meanwhile.
func (tx *ReadTx) CheckPages(ctx context.Context) (*PageReport, error) {
	if tx.bolt == nil {
		return nil, errDone
	}
	f, err := os.OpenFile(tx.path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	txID := uint64(tx.bolt.ID()) //nolint:gosec // Never negative.
	return checkPages(ctx, f, tx.path, info.Size(), &txID)
}

// checkPages checks the state that the newest meta page describes, or the one
// of the given transaction.
func checkPages(ctx context.Context, file io.ReaderAt, path string, size int64, txID *uint64) (*PageReport, error) {
	report := &PageReport{}
	metas, errs := readMetas(file)
	current := -1
	for i, err := range errs {
		if err == nil && (current < 0 || metas[i].txID > metas[current].txID) && (txID == nil || metas[i].txID == *txID) {
			current = i
		}
	}
	if current < 0 && txID != nil && (errs[0] == nil || errs[1] == nil) {
		return nil, fmt.Errorf("database %s: %w: changed while it was being checked", path, model.ErrBusy)
	}
	if current < 0 {
		return nil, &DamageError{Path: path, Err: fmt.Errorf("no usable meta page: %w", errors.Join(errs[0], errs[1]))}
	}
	m := metas[current]
	report.TxID, report.PageSize, report.Pages = m.txID, int(m.pageSize), int(m.pageCount) //nolint:gosec // Bounded by the size of the file.
	for i, err := range errs {
		// With others writing, the page may have been read half written.
		if err != nil && txID == nil {
			report.Problems = append(report.Problems, Problem{
				Code: ProblemMeta, Place: fmt.Sprintf("page %d", i), Expected: "a valid meta page", Found: err.Error(),
			})
		}
	}
	if m.pageCount > uint64(size)/uint64(m.pageSize) { //nolint:gosec // Sizes are positive.
		report.Problems = append(report.Problems, Problem{
			Code: ProblemPage, Place: "file", Expected: fmt.Sprintf("%d pages of %d bytes", m.pageCount, m.pageSize),
			Found: fmt.Sprintf("a file of %d bytes", size),
		})
		m.pageCount = uint64(size) / uint64(m.pageSize) //nolint:gosec // See above.
	}
	w := &pageWalk{ctx: ctx, file: file, meta: m, report: report, state: make([]pageState, m.pageCount)}
	err := w.walk()
	return report, err
}

// pageState tells what a page has been found to be.
type pageState byte

const (
	pageUnknown pageState = iota
	pageUsed
	pageFree
)

// pageWalk looks at all pages.
type pageWalk struct {
	ctx    context.Context //nolint:containedctx // It lives as long as one call.
	file   io.ReaderAt
	meta   meta
	report *PageReport
	state  []pageState
}

func (w *pageWalk) problem(id uint64, expected, found string) {
	w.report.Problems = append(w.report.Problems, Problem{
		Code: ProblemPage, Place: fmt.Sprintf("page %d", id), Expected: expected, Found: found,
	})
}

// walk visits the tree and the freelist, and then looks for pages that are in
// neither.
func (w *pageWalk) walk() error {
	for id := range min(2, len(w.state)) {
		w.state[id] = pageUsed
	}
	if err := w.tree(w.meta.root, nil, nil, 0); err != nil {
		return err
	}
	if w.meta.freelist == noFreelist {
		return nil
	}
	if !w.freelist() {
		return nil
	}
	for id, state := range w.state {
		if state == pageUnknown {
			w.problem(uint64(id), "a page that is used or free", "neither") //nolint:gosec // Not negative.
		}
	}
	return nil
}

// claim reads a page and marks it, and those that it flows over into, as
// used. It returns nil if the page cannot be used.
func (w *pageWalk) claim(id uint64) *page {
	p, err := readPage(w.file, w.meta, id)
	if err != nil {
		w.problem(id, "a page", err.Error())
		return nil
	}
	for i := id; i <= id+uint64(p.overflow); i++ {
		if w.state[i] != pageUnknown {
			w.problem(i, "a page that is used once", "a page that is used twice")
			return nil
		}
		w.state[i] = pageUsed
	}
	return p
}

// maxTreeDepth is more than any tree can have whose pages hold two keys.
const maxTreeDepth = 64

// tree visits a branch or leaf page and all below it. Keys must lie in
// [low, high); nil means that there is no bound.
func (w *pageWalk) tree(id uint64, low, high []byte, depth int) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if depth > maxTreeDepth {
		w.problem(id, "a tree", "a tree that is too deep")
		return nil
	}
	p := w.claim(id)
	if p == nil {
		return nil
	}
	if p.flags != flagBranch && p.flags != flagLeaf {
		w.problem(id, "a branch or leaf page", "a "+p.kind()+" page")
		return nil
	}
	return w.elements(p, low, high, depth)
}

// elements looks at the entries of a page.
func (w *pageWalk) elements(p *page, low, high []byte, depth int) error {
	var previous []byte
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			w.problem(p.id, "an element", err.Error())
			return nil
		}
		if i > 0 && bytes.Compare(previous, e.key) >= 0 ||
			// The first key of a branch page may be greater than that of its child.
			(p.flags == flagLeaf && low != nil && bytes.Compare(e.key, low) < 0) ||
			(high != nil && bytes.Compare(e.key, high) >= 0) {
			w.problem(p.id, "keys in order", fmt.Sprintf("element %d (%.40q) in the wrong place", i, e.key))
		}
		previous = e.key
		switch {
		case p.flags == flagBranch:
			next := high
			if i+1 < p.count {
				if following, err := p.element(i + 1); err == nil {
					next = following.key
				}
			}
			err = w.tree(e.child, e.key, next, depth+1)
		case e.flags&flagBucketElement != 0:
			err = w.bucket(p.id, e, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket visits the tree of a bucket, which may lie in the element itself.
func (w *pageWalk) bucket(id uint64, e element, depth int) error {
	if len(e.value) < bucketHeaderSize {
		w.problem(id, "a bucket", fmt.Sprintf("bucket %.40q with a header of %d bytes", e.key, len(e.value)))
		return nil
	}
	if root := binary.LittleEndian.Uint64(e.value); root != 0 {
		return w.tree(root, nil, nil, depth+1)
	}
	inline, err := parsePage(e.value[bucketHeaderSize:])
	if err != nil || inline.flags != flagLeaf {
		w.problem(id, "a bucket", fmt.Sprintf("bucket %.40q without a leaf page", e.key))
		return nil
	}
	inline.id = id
	return w.elements(inline, nil, nil, depth+1)
}

// freelist marks the pages that are free. It returns false if the freelist
// cannot be read.
func (w *pageWalk) freelist() bool {
	p := w.claim(w.meta.freelist)
	if p == nil {
		return false
	}
	if p.flags != flagFreelist {
		w.problem(p.id, "a freelist page", "a "+p.kind()+" page")
		return false
	}
	free, err := p.freePages()
	if err != nil {
		w.problem(p.id, "a freelist", err.Error())
		return false
	}
	for _, id := range free {
		switch {
		case id < 2 || id >= uint64(len(w.state)):
			w.problem(p.id, "free pages that exist", fmt.Sprintf("page %d", id))
		case w.state[id] != pageUnknown:
			w.problem(id, "a page that is used or free, once", "a page that is listed as free and is something else too")
		default:
			w.state[id] = pageFree
			w.report.Free++
		}
	}
	return true
}
