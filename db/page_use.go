package db

import (
	"cmp"
	"fmt"
	"slices"
)

// pageUse says what pages are used for: a page of a tree with those that it
// flows over into, or a free one.
type pageUse struct {
	first, last uint64
	free        bool
}

// account looks whether any page has two uses, and, if the uses that have been
// found are complete, whether any page has none.
func (w *pageWalk) account(complete bool) {
	slices.SortStableFunc(w.uses, func(a, b pageUse) int { return cmp.Compare(a.first, b.first) })
	next, last := uint64(2), pageUse{}
	for _, use := range w.uses {
		switch {
		case use.first < next && (use.free || last.free):
			w.problem(ProblemFree, use.first, "a page that is used or free, once", "a page that is listed as free and is something else too")
		case use.first < next:
			w.problem(ProblemPage, use.first, "a page that is used once", "a page that is used twice")
		case complete:
			w.lost(next, use.first)
		}
		if use.last >= next {
			next, last = use.last+1, use
		}
	}
	if complete {
		w.lost(next, w.source.count)
	}
}

// lost notes that the pages from the first one to before the last one have no
// use.
func (w *pageWalk) lost(first, last uint64) {
	switch {
	case first+1 < last:
		w.problem(ProblemFree, first, "a page that is used or free", fmt.Sprintf("neither, nor the pages up to %d", last-1))
	case first < last:
		w.problem(ProblemFree, first, "a page that is used or free", "neither")
	}
}
