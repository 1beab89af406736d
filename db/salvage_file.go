package db

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// salvager salvages one file.
type salvager struct {
	ctx  context.Context //nolint:containedctx // It lives as long as one call of Salvage.
	file io.ReaderAt
	size int64
	// budget is how many bytes of values may still be read outside trees.
	budget int64
	out    *Salvaged
	// trees are those that out.Trees describes.
	trees []*treeReader
}

// readBudget returns how many bytes of values are read outside trees. In a file
// whose pages claim to be as long as all that follows, there would be no end.
func readBudget(size int64) int64 { return 64<<20 + 16*size }

// run reads trees first, and then all other pages if anything is missing.
func (s *salvager) run() error {
	roots := s.findMetas()
	if s.out.PageSize == 0 {
		if err := s.guessPageSize(); err != nil || s.out.PageSize == 0 {
			return err
		}
	}
	if s.out.MetaErrors != [2]error{} {
		found, err := s.findRoots(roots)
		if err != nil {
			return err
		}
		roots = append(roots, found...)
		slices.SortStableFunc(roots, func(a, b root) int { return cmp.Compare(b.meta.txID, a.meta.txID) })
	}
	if err := s.readTrees(roots); err != nil {
		return err
	}
	if len(s.trees) == 0 || !s.trees[0].whole() {
		if err := s.readPages(); err != nil {
			return err
		}
	}
	s.out.settle()
	return nil
}

// root is where a tree begins.
type root struct {
	meta meta
	// found tells that no meta page leads to it.
	found bool
}

// findMetas reads the meta pages.
func (s *salvager) findMetas() (roots []root) {
	metas, errs := readMetas(s.file)
	s.out.MetaErrors = errs
	for i, m := range metas {
		if errs[i] == nil {
			s.out.PageSize = int64(m.pageSize)
			roots = append(roots, root{meta: m})
		}
	}
	slices.SortStableFunc(roots, func(a, b root) int { return cmp.Compare(b.meta.txID, a.meta.txID) })
	return roots
}

// pages returns the source of all pages that are there, whole or in part.
func (s *salvager) pages() pageSource {
	return pageSource{file: s.file, size: s.out.PageSize, count: uint64((s.size + s.out.PageSize - 1) / s.out.PageSize)}
}

// guessPageSize finds out the size of pages from their numbers, for a file
// without a meta page: with any other size they are not where they belong.
func (s *salvager) guessPageSize() error {
	most := 0
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		hits := 0
		err := s.eachHeader(size, func(id uint64, header []byte) {
			flags := binary.LittleEndian.Uint16(header[8:])
			if binary.LittleEndian.Uint64(header) == id && (flags == flagLeaf || flags == flagBranch || flags == flagFreelist) {
				hits++
			}
		})
		if err != nil {
			return err
		}
		if hits > most {
			s.out.PageSize, most = size, hits
		}
	}
	return nil
}

// eachHeader calls fn with the header of each page but for the meta pages.
func (s *salvager) eachHeader(size int64, fn func(id uint64, header []byte)) error {
	header := make([]byte, pageHeaderSize)
	for id := int64(2); id*size+pageHeaderSize <= s.size; id++ {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		if _, err := s.file.ReadAt(header, id*size); err != nil {
			return ignoreEnd(err)
		}
		fn(uint64(id), header)
	}
	return nil
}

// ignoreEnd passes over the end of a file that somebody has made shorter.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readTrees reads the newest tree that is any good, and the one before if
// something is missing in it.
func (s *salvager) readTrees(roots []root) error {
	for i, root := range roots {
		if len(s.trees) == 2 || len(s.trees) == 1 && s.trees[0].whole() {
			break
		}
		if len(s.trees) == 1 && s.trees[0].meta.txID == root.meta.txID {
			continue
		}
		if err := s.readTree(root, i+1 == len(roots)); err != nil {
			return err
		}
	}
	return nil
}

// readTree reads a tree, and takes from it what none before had to say about.
func (s *salvager) readTree(root root, last bool) error {
	var values []treeValue
	r := newTreeReader(s.ctx, root.meta, s.pages())
	r.found = func(path []string, key []byte, record any, page uint64) {
		if len(s.trees) == 0 || s.trees[0].gaps.has(path, string(key)) {
			values = append(values, treeValue{path, string(key), record, page})
		}
	}
	var damaged []treeValue
	r.damaged = func(path []string, key []byte, page uint64) {
		damaged = append(damaged, treeValue{path: path, key: string(key), page: page})
	}
	if err := r.read(); err != nil {
		return err
	}
	if len(s.trees) == 0 && !last && !credible(r, values) {
		return nil
	}
	origin := FromLive
	if len(s.trees) > 0 {
		origin = FromPrevious
	} else {
		s.out.noteDamaged(damaged)
	}
	s.trees = append(s.trees, r)
	s.out.gaps = append(s.out.gaps, r.gaps)
	s.out.Trees = append(s.out.Trees, SalvagedTree{TxID: root.meta.txID, Meta: !root.found, Intact: r.whole()})
	for _, v := range values {
		s.out.take(v, origin)
	}
	return nil
}

// treeValue is a value that was found in a tree.
type treeValue struct {
	path   []string
	key    string
	record any // nil if it is damaged
	page   uint64
}

// credible tells whether the meta page of a tree belongs to this file: there is
// something that it leads to.
func credible(r *treeReader, values []treeValue) bool { return r.free != nil || len(values) > 0 }
