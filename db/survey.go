package db

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Survey is all that can be read of a database file, damaged or not, page by
// page. Unlike Check it compares nothing.
type Survey struct {
	Size     int64 // of the file, in bytes
	PageSize int   // in bytes
	// Metas are the two meta pages. The one with the greater TxID holds.
	Metas [2]MetaInfo
	// Pages are those in use, ordered by number, but for those that another one
	// flows over into.
	Pages []PageInfo
	Free  int // pages that hold nothing
	// Buckets are in the order of the file, each before those in it.
	Buckets []BucketInfo
	// Problems say what could not be read.
	Problems []Problem
}

// MetaInfo is one of the two pages that tell where everything else is.
type MetaInfo struct {
	TxID uint64 // last transaction
	Root uint64 // page of the tree
	// Freelist is the page of the list of free ones, and Pages how many there
	// are up to the highest one ever used.
	Freelist, Pages uint64
	Err             error // why it cannot be used, if so
}

// PageInfo describes a page.
type PageInfo struct {
	ID   uint64
	Kind string // "meta", "freelist", "branch" or "leaf"
	// Bucket is the path of the bucket that it belongs to.
	Bucket []string
	Count  int // of keys, or of free pages
	// Overflow is how many pages it flows over into, and Used how many bytes of
	// all of them are in use.
	Overflow uint32
	Used     int64
}

// BucketInfo describes a bucket.
type BucketInfo struct {
	Path     []string // its name and those of the buckets that it is in
	Sequence uint64   // from which its records are numbered
	Keys     int      // without buckets
	// KeyBytes and ValueBytes are the sums over all keys and values.
	KeyBytes, ValueBytes int64
	Branches, Leaves     int   // pages
	PageBytes            int64 // of those pages
	Inline               bool  // it lies in a page of the bucket that it is in
}

// Record is a key and a value as they stand in the file.
type Record struct {
	Bucket     []string // path of the bucket
	Key, Value []byte
}

// LookOptions say how to look at a database file.
type LookOptions struct {
	// Wait is how long to wait for those who write to the file; 0 means as long as
	// the context lasts.
	Wait time.Duration
	// Progress is told how far it has come.
	Progress Progress
}

// Look surveys a database file, whatever its name, and calls fn, unless that is
// nil, for each record that can be read, those of a bucket in the order of their
// keys as long as the file is intact. Nothing is written. It waits for those who
// write to the file, see Examine. An error is returned if nothing can be read,
// or if fn returned one.
func Look(ctx context.Context, path string, options LookOptions, fn func(*Record) error) (*Survey, error) {
	waiting, cancel := waitAtMost(ctx, options.Wait)
	defer cancel()
	release, err := keepStill(waiting, path)
	if err != nil {
		return nil, err
	}
	defer release()
	file, err := (&handle{path: path}).openFile()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	l := &looker{ctx: ctx, fn: fn, visited: make(map[uint64]bool), survey: &Survey{}}
	if l.fn == nil {
		l.fn = func(*Record) error { return nil }
	}
	if err := l.begin(path, file); err != nil {
		return nil, err
	}
	used := max(int64(l.source.count)-int64(l.survey.Free), 0) * l.source.size
	l.source.file = &countedFile{ReaderAt: file, left: used, done: options.Progress.Start("reading", used)}
	if err := l.tree(l.root, nil, 0); err != nil {
		return nil, err
	}
	l.survey.Pages = append(l.survey.Pages, l.metaPages()...)
	slices.SortFunc(l.survey.Pages, func(a, b PageInfo) int { return int(int64(a.ID) - int64(b.ID)) })
	return l.survey, nil
}

// looker is a survey under way. What it needs of memory goes by the pages that
// are there, not by what a damaged file claims.
type looker struct {
	ctx     context.Context //nolint:containedctx // It lives as long as one call of Look.
	fn      func(*Record) error
	source  pageSource
	root    uint64
	visited map[uint64]bool
	survey  *Survey
}

// begin reads the meta pages and the freelist.
func (l *looker) begin(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	m, err := newestMeta(file)
	if err != nil {
		return &DamageError{Path: path, Err: err}
	}
	metas, errs := readMetas(file)
	for i, other := range metas {
		l.survey.Metas[i] = MetaInfo{TxID: other.txID, Root: other.root, Freelist: other.freelist, Pages: other.pageCount, Err: errs[i]}
		if errs[i] != nil {
			l.problem(ProblemMeta, uint64(i), "a valid meta page", errs[i])
		}
	}
	l.survey.Size, l.survey.PageSize, l.root = info.Size(), int(m.pageSize), m.root
	l.source = pageSource{file: file, size: int64(m.pageSize), count: min(m.pageCount, uint64(info.Size())/uint64(m.pageSize))}
	if m.freelist == noFreelist {
		return nil
	}
	p, err := l.source.read(m.freelist)
	var free []uint64
	if err == nil {
		free, err = p.freePages()
	}
	if err != nil {
		l.problem(ProblemFree, m.freelist, "a freelist", err)
		return nil
	}
	l.visited[p.id] = true
	l.survey.Free = len(free)
	l.page(p, nil, int64(pageHeaderSize+8*len(free)), len(free))
	return nil
}

func (l *looker) metaPages() (pages []PageInfo) {
	for i, m := range l.survey.Metas {
		if m.Err == nil {
			pages = append(pages, PageInfo{ID: uint64(i), Kind: "meta", Used: pageHeaderSize + metaSize})
		}
	}
	return pages
}

func (l *looker) problem(code ProblemCode, id uint64, expected string, found error) {
	l.survey.Problems = append(l.survey.Problems, Problem{Code: code, Place: fmt.Sprintf("page %d", id), Expected: expected, Found: found.Error()})
}

func (l *looker) page(p *page, path []string, used int64, count int) {
	l.survey.Pages = append(l.survey.Pages, PageInfo{ID: p.id, Kind: p.kind(), Bucket: path, Count: count, Overflow: p.overflow, Used: used})
}

// bucket returns the bucket with a path, which is the last one so far, or nil for
// the one that contains all others.
func (l *looker) bucket(index int) *BucketInfo {
	if index == 0 {
		return &BucketInfo{}
	}
	return &l.survey.Buckets[index-1]
}

// tree visits a branch or leaf page and all below it. The bucket is given by its
// number, which is 0 for the one that contains all others.
func (l *looker) tree(id uint64, path []string, bucket int) error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	if l.visited[id] {
		l.problem(ProblemPage, id, "a page that is used once", errTwice)
		return nil
	}
	l.visited[id] = true
	p, err := l.source.read(id)
	if err == nil && p.flags != flagBranch && p.flags != flagLeaf {
		err = fmt.Errorf("a %s page", p.kind())
	}
	if err != nil {
		l.problem(ProblemPage, id, "a branch or leaf page", err)
		return nil
	}
	b := l.bucket(bucket)
	b.PageBytes += p.size
	if p.flags == flagBranch {
		b.Branches++
	} else {
		b.Leaves++
	}
	return l.elements(p, path, bucket)
}

var errTwice = errors.New("one that is used twice")

// elements visits what is in a page, which may lie in another one.
func (l *looker) elements(p *page, path []string, bucket int) error {
	used := int64(pageHeaderSize)
	var below []func() error
	for i := range p.count {
		e, err := p.element(i)
		var key []byte
		if err == nil {
			key, err = p.key(e)
		}
		if err != nil {
			l.problem(ProblemPage, p.id, "an element", fmt.Errorf("element %d: %w", i, err))
			continue
		}
		used += elementSize + e.keySize + e.valueSize
		switch {
		case p.flags == flagBranch:
			below = append(below, func() error { return l.tree(e.child, path, bucket) })
		case e.isBucket():
			below = append(below, func() error { return l.inner(p, e, append(slices.Clip(path), string(key))) })
		default:
			if err := l.record(p, e, key, path, bucket); err != nil {
				return err
			}
		}
	}
	if !p.inline {
		l.page(p, path, used, p.count)
	}
	for _, visit := range below {
		if err := visit(); err != nil {
			return err
		}
	}
	return nil
}

func (l *looker) record(p *page, e element, key []byte, path []string, bucket int) error {
	value, err := p.bytes(e.start+e.keySize, e.valueSize)
	if err != nil {
		l.problem(ProblemPage, p.id, "a value", err)
		return nil
	}
	b := l.bucket(bucket)
	b.Keys++
	b.KeyBytes += e.keySize
	b.ValueBytes += e.valueSize
	return l.fn(&Record{Bucket: path, Key: key, Value: value})
}

// inner visits a bucket within another one. The depth of buckets is bounded,
// since a damaged file may have them go round in a circle.
func (l *looker) inner(p *page, e element, path []string) error {
	root, inline, err := p.bucket(e)
	if err == nil && len(path) > 2*MaxNesting {
		err = fmt.Errorf("more than %d buckets, one in another", 2*MaxNesting)
	}
	if err != nil {
		l.problem(ProblemPage, p.id, "a bucket", fmt.Errorf("bucket %.40q: %w", path[len(path)-1], err))
		return nil
	}
	header, err := p.bytes(e.start+e.keySize, bucketHeaderSize)
	if err != nil {
		return err
	}
	l.survey.Buckets = append(l.survey.Buckets, BucketInfo{
		Path: path, Sequence: binary.LittleEndian.Uint64(header[8:]), Inline: inline != nil,
	})
	bucket := len(l.survey.Buckets)
	if inline != nil {
		inline.id = p.id // for problems
		return l.elements(inline, path, bucket)
	}
	return l.tree(root, path, bucket)
}
