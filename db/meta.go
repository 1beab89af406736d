package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// This file, page.go and page_*.go read a bbolt file without bbolt, which
// trusts what it finds and maps the file into memory: a checker must be able to
// look at anything. The format is that of bbolt's internal/common (version 2);
// numbers are in the byte order of the machine that wrote it, little endian on
// all machines that csdb is built for.

const (
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	minPageSize = 512
	maxPageSize = 64 << 10

	// noFreelist stands for a freelist that was not written.
	noFreelist = ^uint64(0)
)

// meta is what one of the two pages says that tell where everything else is.
// They are written in turn; the one with the greater number holds.
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
	case m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0:
		return meta{}, fmt.Errorf("impossible page size %d", m.pageSize)
	}
	return m, nil
}

// readMetas reads both meta pages. The second one lies behind the first, whose
// size is not known if it is damaged; so all possible sizes are tried.
func readMetas(file io.ReaderAt) (metas [2]meta, errs [2]error) {
	var buf [pageHeaderSize + metaSize]byte
	read := func(offset int64) (meta, error) {
		if _, err := file.ReadAt(buf[:], offset); err != nil {
			return meta{}, err
		}
		return parseMeta(buf[:])
	}
	metas[0], errs[0] = read(0)
	if errs[0] == nil {
		metas[1], errs[1] = read(int64(metas[0].pageSize))
		if errs[1] == nil && metas[1].pageSize != metas[0].pageSize {
			errs[1] = fmt.Errorf("page size %d, and %d in the other meta page", metas[1].pageSize, metas[0].pageSize)
		}
		return metas, errs
	}
	for size := int64(minPageSize); size <= maxPageSize; size *= 2 {
		metas[1], errs[1] = read(size)
		if errs[1] == nil && int64(metas[1].pageSize) == size {
			return metas, errs
		}
	}
	errs[1] = errors.New("no valid meta page at any page size")
	return metas, errs
}

// newestMeta returns what the meta page says that holds, as bbolt chooses it.
func newestMeta(file io.ReaderAt) (meta, error) {
	metas, errs := readMetas(file)
	usable := [2]bool{errs[0] == nil, errs[1] == nil}
	switch {
	case usable[1] && (!usable[0] || metas[1].txID > metas[0].txID):
		return metas[1], nil
	case usable[0]:
		return metas[0], nil
	}
	return meta{}, fmt.Errorf("no usable meta page: %w", errors.Join(errs[0], errs[1]))
}
