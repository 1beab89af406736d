package db

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// manyFree in the count of a freelist page says that the count is in the first
// place of the list.
const manyFree = 0xFFFF

// freePages returns the pages that a freelist page lists. They must be pages of
// the file, in ascending order.
func (p *page) freePages() ([]uint64, error) {
	if p.flags != flagFreelist {
		return nil, fmt.Errorf("a freelist page expected, a %s page found", p.kind())
	}
	count, offset := uint64(p.count), int64(pageHeaderSize)
	if p.count == manyFree {
		b, err := p.bytes(offset, 8)
		if err != nil {
			return nil, err
		}
		count, offset = binary.LittleEndian.Uint64(b), offset+8
	}
	if count > uint64(p.size-offset)/8 {
		return nil, fmt.Errorf("freelist of %d pages reaches beyond its page", count)
	}
	if err := p.checkFreelistSize(count); err != nil {
		return nil, err
	}
	var free []uint64
	last := uint64(1)
	// A little at a time: what is not a list shows before it takes memory.
	for len(free) < int(count) {
		b, err := p.bytes(offset, 8*min(4096, int64(count)-int64(len(free))))
		if err != nil {
			return nil, err
		}
		offset += int64(len(b))
		for ; len(b) > 0; b = b[8:] {
			id := binary.LittleEndian.Uint64(b)
			if id <= last || id >= p.source.count {
				return nil, fmt.Errorf("page %d in the freelist after page %d, of %d pages", id, last, p.source.count)
			}
			free, last = append(free, id), id
		}
	}
	return free, nil
}

// checkFreelistSize looks whether a freelist takes the pages that bbolt takes
// for it: what the list needs, before its own pages are taken from it, and up
// to one page more.
func (p *page) checkFreelistSize(count uint64) error {
	pages := uint64(p.overflow) + 1
	if most := (pageHeaderSize+8*(count+pages+1))/uint64(p.source.size) + 1; pages > most {
		return errors.New("the freelist takes more pages than it needs")
	}
	return nil
}
