package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// This file reads the pages of a bbolt file without bbolt, which trusts what
// it finds and maps the file into memory: a checker must be able to look at
// anything. The format is that of bbolt's internal/common (version 2); numbers
// are in the byte order of the machine that wrote it, little endian on all
// machines that csdb is built for.

const (
	pageHeaderSize   = 16
	elementSize      = 16 // of both kinds of page
	bucketHeaderSize = 16
	metaSize         = 64

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	flagBucketElement = 0x01

	// noFreelist stands for a freelist that was not written.
	noFreelist = ^uint64(0)
	// manyFree in the count of a freelist page says that the count is in the
	// first place of the list.
	manyFree = 0xFFFF
)

// meta is one of the two pages that say where everything else is.
type meta struct {
	pageSize  uint32
	root      uint64
	freelist  uint64
	pageCount uint64 // one more than the highest page in use
	txID      uint64
}

// parseMeta reads a meta page, which must hold its header at least.
func parseMeta(page []byte) (meta, error) {
	if len(page) < pageHeaderSize+metaSize {
		return meta{}, io.ErrUnexpectedEOF
	}
	flags, b := binary.LittleEndian.Uint16(page[8:]), page[pageHeaderSize:]
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	m := meta{
		pageSize:  binary.LittleEndian.Uint32(b[8:]),
		root:      binary.LittleEndian.Uint64(b[16:]),
		freelist:  binary.LittleEndian.Uint64(b[32:]),
		pageCount: binary.LittleEndian.Uint64(b[40:]),
		txID:      binary.LittleEndian.Uint64(b[48:]),
	}
	switch {
	case binary.LittleEndian.Uint32(b) != metaMagic || flags&flagMeta == 0:
		return meta{}, errors.New("not a meta page")
	case binary.LittleEndian.Uint32(b[4:]) != metaVersion:
		return meta{}, fmt.Errorf("unknown format version %d", binary.LittleEndian.Uint32(b[4:]))
	case binary.LittleEndian.Uint64(b[56:]) != sum.Sum64():
		return meta{}, errors.New("checksum does not match")
	case m.pageSize < 512 || m.pageSize > 1<<16 || m.pageSize&(m.pageSize-1) != 0:
		return meta{}, fmt.Errorf("impossible page size %d", m.pageSize)
	}
	return m, nil
}

// readMetas reads both meta pages. The second one lies behind the first, whose
// size is not known if it is damaged; so all possible sizes are tried.
func readMetas(file io.ReaderAt) (metas [2]meta, errs [2]error) {
	buf := make([]byte, pageHeaderSize+metaSize)
	read := func(offset int64) (meta, error) {
		if _, err := file.ReadAt(buf, offset); err != nil {
			return meta{}, err
		}
		return parseMeta(buf)
	}
	metas[0], errs[0] = read(0)
	if errs[0] == nil {
		metas[1], errs[1] = read(int64(metas[0].pageSize))
		return metas, errs
	}
	for size := int64(512); size <= 1<<16; size *= 2 {
		metas[1], errs[1] = read(size)
		if errs[1] == nil && int64(metas[1].pageSize) == size {
			return metas, errs
		}
	}
	errs[1] = errors.New("no valid meta page at any page size")
	return metas, errs
}

// page is a page with those that it flows over into.
type page struct {
	id       uint64
	flags    uint16
	count    int
	overflow uint32
	data     []byte // header included
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

// readPage reads a page of the file that m describes.
func readPage(file io.ReaderAt, m meta, id uint64) (*page, error) {
	if id < 2 || id >= m.pageCount {
		return nil, fmt.Errorf("page %d lies outside the pages 2 to %d in use", id, m.pageCount-1)
	}
	size := int64(m.pageSize)
	header := make([]byte, pageHeaderSize)
	if _, err := file.ReadAt(header, int64(id)*size); err != nil { //nolint:gosec // Below the page count, which the size of the file bounds.
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	p, err := parsePage(header)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if p.id != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, p.id)
	}
	if id+uint64(p.overflow) >= m.pageCount {
		return nil, fmt.Errorf("page %d flows over into %d pages, beyond the last one", id, p.overflow)
	}
	p.data = make([]byte, (int64(p.overflow)+1)*size)
	if _, err := file.ReadAt(p.data, int64(id)*size); err != nil { //nolint:gosec // See above.
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return p, nil
}

// parsePage reads the header of a page.
func parsePage(data []byte) (*page, error) {
	if len(data) < pageHeaderSize {
		return nil, io.ErrUnexpectedEOF
	}
	return &page{
		id:       binary.LittleEndian.Uint64(data),
		flags:    binary.LittleEndian.Uint16(data[8:]),
		count:    int(binary.LittleEndian.Uint16(data[10:])),
		overflow: binary.LittleEndian.Uint32(data[12:]),
		data:     data,
	}, nil
}

// element is an entry of a branch or leaf page.
type element struct {
	flags uint32 // of a leaf page
	child uint64 // of a branch page
	key   []byte
	value []byte // of a leaf page
}

// element returns an entry of the page, whose memory it shares.
func (p *page) element(i int) (element, error) {
	start := pageHeaderSize + i*elementSize
	if i >= p.count || start+elementSize > len(p.data) {
		return element{}, fmt.Errorf("element %d lies outside the page", i)
	}
	b := p.data[start:]
	var e element
	var position, keySize, valueSize uint64
	if p.flags == flagBranch {
		position = uint64(binary.LittleEndian.Uint32(b))
		keySize = uint64(binary.LittleEndian.Uint32(b[4:]))
		e.child = binary.LittleEndian.Uint64(b[8:])
	} else {
		e.flags = binary.LittleEndian.Uint32(b)
		position = uint64(binary.LittleEndian.Uint32(b[4:]))
		keySize = uint64(binary.LittleEndian.Uint32(b[8:]))
		valueSize = uint64(binary.LittleEndian.Uint32(b[12:]))
	}
	if position+keySize+valueSize > uint64(len(b)) {
		return element{}, fmt.Errorf("element %d reaches beyond the page", i)
	}
	e.key = b[position : position+keySize]
	e.value = b[position+keySize : position+keySize+valueSize]
	return e, nil
}

// freePages returns the pages that a freelist page lists.
func (p *page) freePages() ([]uint64, error) {
	rest := p.data[pageHeaderSize:]
	count := uint64(p.count)
	if p.count == manyFree {
		if len(rest) < 8 {
			return nil, io.ErrUnexpectedEOF
		}
		count, rest = binary.LittleEndian.Uint64(rest), rest[8:]
	}
	if count > uint64(len(rest)/8) {
		return nil, fmt.Errorf("freelist of %d pages reaches beyond its page", count)
	}
	free := make([]uint64, count)
	for i := range free {
		free[i] = binary.LittleEndian.Uint64(rest[8*i:])
	}
	return free, nil
}
