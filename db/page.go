package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
)

const (
	pageHeaderSize   = 16
	elementSize      = 16 // of both kinds of page
	bucketHeaderSize = 16
	maxKeySize       = 32 << 10

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	flagBucketElement = 0x01
)

// pageSource is a file of pages.
type pageSource struct {
	file  io.ReaderAt
	size  int64  // of a page, in bytes
	count uint64 // pages there are
}

// page is a page with those that it flows over into. Only its beginning is in
// memory: a page may hold a value of up to 2 GiB.
type page struct {
	source   pageSource
	id       uint64
	flags    uint16
	count    int
	overflow uint32
	inline   bool   // it lies in an element of another page
	size     int64  // in bytes, with the pages that it flows over into
	head     []byte // at least the header and all element headers
}

// read reads a page.
func (s pageSource) read(id uint64) (*page, error) {
	return s.readInto(id, make([]byte, s.size))
}

// readInto reads a page into a buffer of the size of a page, which it keeps.
func (s pageSource) readInto(id uint64, head []byte) (*page, error) {
	if id < 2 || id >= s.count {
		return nil, fmt.Errorf("page %d lies outside the pages 2 to %d in use", id, s.count-1)
	}
	p := &page{source: s, head: head}
	if err := s.readAt(p.head, id, 0); err != nil {
		return nil, err
	}
	p.parse()
	if p.id != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, p.id)
	}
	if uint64(p.overflow) >= s.count-id {
		return nil, fmt.Errorf("page %d flows over into %d pages, beyond the last one", id, p.overflow)
	}
	p.size = (int64(p.overflow) + 1) * s.size
	if headers := pageHeaderSize + p.count*elementSize; p.flags&(flagBranch|flagLeaf) != 0 && headers > len(p.head) {
		if int64(headers) > p.size {
			return nil, fmt.Errorf("page %d has no room for %d elements", id, p.count)
		}
		p.head = make([]byte, headers)
		if err := s.readAt(p.head, id, 0); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s pageSource) readAt(b []byte, id uint64, offset int64) error {
	if _, err := s.file.ReadAt(b, int64(id)*s.size+offset); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// inlinePage reads the page that lies in the value of a small bucket.
func (s pageSource) inlinePage(value []byte) (*page, error) {
	if len(value) < bucketHeaderSize+pageHeaderSize {
		return nil, io.ErrUnexpectedEOF
	}
	p := &page{source: s, head: value[bucketHeaderSize:], size: int64(len(value) - bucketHeaderSize), inline: true}
	p.parse()
	if p.flags != flagLeaf {
		return nil, fmt.Errorf("its page is a %s page", p.kind())
	}
	if pageHeaderSize+p.count*elementSize > len(p.head) {
		return nil, fmt.Errorf("its page has no room for %d elements", p.count)
	}
	return p, nil
}

// parse reads the header of a page.
func (p *page) parse() {
	p.id = binary.LittleEndian.Uint64(p.head)
	p.flags = binary.LittleEndian.Uint16(p.head[8:])
	p.count = int(binary.LittleEndian.Uint16(p.head[10:]))
	p.overflow = binary.LittleEndian.Uint32(p.head[12:])
}

// kind names the kind of page.
func (p *page) kind() string {
	switch p.flags {
	case flagBranch:
		return "branch"
	case flagLeaf:
		return "leaf"
	case flagMeta:
		return "meta"
	case flagFreelist:
		return "freelist"
	}
	return fmt.Sprintf("unknown (flags %#x)", p.flags)
}

// element is an entry of a branch or leaf page.
type element struct {
	flags     uint32 // of a leaf page
	child     uint64 // of a branch page
	start     int64  // of key and value in the page
	keySize   int64
	valueSize int64 // of a leaf page
}

// end is where the value of the element ends in the page.
func (e element) end() int64 { return e.start + e.keySize + e.valueSize }

// isBucket tells whether the element of a leaf page is a bucket.
func (e element) isBucket() bool { return e.flags&flagBucketElement != 0 }

// element returns an entry of the page.
func (p *page) element(i int) (element, error) {
	offset := pageHeaderSize + i*elementSize
	b := p.head[offset : offset+elementSize]
	var e element
	if p.flags == flagBranch {
		e.start = int64(offset) + int64(binary.LittleEndian.Uint32(b))
		e.keySize = int64(binary.LittleEndian.Uint32(b[4:]))
		e.child = binary.LittleEndian.Uint64(b[8:])
	} else {
		e.flags = binary.LittleEndian.Uint32(b)
		e.start = int64(offset) + int64(binary.LittleEndian.Uint32(b[4:]))
		e.keySize = int64(binary.LittleEndian.Uint32(b[8:]))
		e.valueSize = int64(binary.LittleEndian.Uint32(b[12:]))
	}
	switch {
	case e.end() > p.size:
		return e, errors.New("it reaches beyond the page")
	case e.keySize == 0 || e.keySize > maxKeySize:
		return e, fmt.Errorf("its key has %d bytes", e.keySize)
	}
	return e, nil
}

// key returns the key of an element, which may share the page's memory.
func (p *page) key(e element) ([]byte, error) { return p.bytes(e.start, e.keySize) }

// bytes returns a part of the page.
func (p *page) bytes(start, size int64) ([]byte, error) {
	if end := start + size; end <= int64(len(p.head)) {
		return p.head[start:end:end], nil
	}
	b := make([]byte, size)
	return b, p.source.readAt(b, p.id, start)
}

// each calls fn, unless that is nil, for each element of a branch or leaf page
// and its key, and looks whether the page is as bbolt writes it: elements in
// the order of their keys, packed one behind the other, in no more pages than
// they need. It stops at the first error.
func (p *page) each(fn func(i int, e element, key []byte) error) error {
	end := int64(pageHeaderSize + p.count*elementSize)
	var previous []byte
	for i := range p.count {
		e, key, err := p.next(i, end, previous)
		if err == nil && fn != nil {
			err = fn(i, e, key)
		}
		if err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		previous, end = key, e.end()
	}
	if p.inline && end != p.size {
		return fmt.Errorf("it has %d bytes for %d", p.size, end)
	}
	// Old versions of bbolt took a page more if the last one was just full.
	if p.overflow > 0 && end < int64(p.overflow)*p.source.size {
		return fmt.Errorf("it flows over into %d pages for %d bytes", p.overflow, end)
	}
	return nil
}

// next returns an element and its key, which must lie behind the previous one.
func (p *page) next(i int, start int64, previous []byte) (element, []byte, error) {
	e, err := p.element(i)
	if err != nil {
		return e, nil, err
	}
	if e.start != start {
		return e, nil, fmt.Errorf("it lies at byte %d instead of %d", e.start, start)
	}
	key, err := p.key(e)
	if err == nil && i > 0 && bytes.Compare(previous, key) >= 0 {
		err = fmt.Errorf("its key %.40q does not follow %.40q", key, previous)
	}
	return e, key, err
}

// search returns the index of the element that bbolt chooses for a key, in a
// page whose keys are in order: the last one that is not greater in a branch
// page, the first one that is not less in a leaf page.
func (p *page) search(key []byte) (index int, exact bool, err error) {
	index = sort.Search(p.count, func(i int) bool {
		e, errElement := p.element(i)
		k, errKey := p.key(e)
		err = errors.Join(err, errElement, errKey)
		order := bytes.Compare(k, key)
		exact = exact || order == 0
		return order >= 0
	})
	if p.flags == flagBranch && !exact && index > 0 {
		index--
	}
	return index, exact, err
}
