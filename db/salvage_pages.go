package db

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// readPages reads all pages to which no intact tree leads, whatever they claim
// to be.
func (s *salvager) readPages() error {
	if err := s.eachStrayPage(func(p *strayPage) { s.readStray(p, valueBuckets) }); err != nil {
		return err
	}
	// Names of the buckets of embedding programs are known only now.
	apps := s.out.appBuckets()
	if len(apps) == 0 {
		return nil
	}
	return s.eachStrayPage(func(p *strayPage) { s.readStray(p, slices.Concat(valueBuckets, apps)) })
}

// strayPage is a page that no tree leads to.
type strayPage struct {
	id     uint64
	origin Origin
	head   []byte // as much of it as there is
	// offset is where it begins in the file, and end where the file ends.
	offset, end int64
}

// eachStrayPage calls fn for each page that may have values that are missing.
func (s *salvager) eachStrayPage(fn func(*strayPage)) error {
	source := s.pages()
	buffer := make([]byte, source.size)
	for id := uint64(2); id < source.count; id++ {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		if len(s.trees) > 0 && s.trees[0].reached[id] {
			continue
		}
		n, err := s.file.ReadAt(buffer, int64(id)*source.size)
		if err != nil && !errors.Is(err, io.EOF) {
			continue // a bad block, most likely; the others may be readable
		}
		p := &strayPage{id: id, head: buffer[:n], offset: int64(id) * source.size, end: s.size}
		if n < pageHeaderSize+elementSize {
			continue
		}
		p.origin = s.originOf(p)
		fn(p)
	}
	return nil
}

// originOf tells what a page is that no tree leads to.
func (s *salvager) originOf(p *strayPage) Origin {
	if binary.LittleEndian.Uint64(p.head) != p.id {
		return FromStray
	}
	if len(s.trees) == 0 {
		return FromFreed
	}
	newest := s.trees[0]
	switch {
	case p.id >= newest.meta.pageCount:
		return FromStray
	case newest.free != nil && !newest.free[p.id]:
		return FromCutOff
	case len(s.trees) > 1 && s.trees[1].reached[p.id]:
		return FromPrevious
	}
	return FromFreed
}

// elements returns how many elements a leaf page may have. Its header says so,
// and so does the place of what belongs to the first element.
func (p *strayPage) elements() int {
	room := (len(p.head) - pageHeaderSize) / elementSize
	said := int(binary.LittleEndian.Uint16(p.head[10:]))
	shown := int(binary.LittleEndian.Uint32(p.head[pageHeaderSize+4:]) / elementSize)
	if shown > room {
		shown = 0
	}
	return min(room, max(said, shown))
}

// strayValue is an intact value in a page that no tree leads to.
type strayValue struct {
	in     bucket
	key    string
	record any
}

// readStray takes what is intact in a page, if it belongs to one of the given
// buckets.
func (s *salvager) readStray(p *strayPage, among []bucket) {
	var values []strayValue
	var stamp uint64
	s.eachElement(p, func(key, value []byte, isBucket bool) {
		if isBucket {
			values = append(values, s.readInline(key, value, among, 0)...)
			return
		}
		if in, record := identify(among, key, value); in != "" {
			values = append(values, strayValue{in, string(key), record})
		}
	})
	for _, v := range values {
		stamp = max(stamp, seqOf(v.record))
	}
	for _, v := range values {
		s.out.offer(v.record, pathOf(v.in), v.key, p.origin, p.id, stamp)
	}
}

// eachElement calls fn for each element of a page that can be one of a leaf
// page. It asks less than bbolt does of a page: the checksums of values tell
// whether they are.
func (s *salvager) eachElement(p *strayPage, fn func(key, value []byte, isBucket bool)) {
	for i := range p.elements() {
		offset := int64(pageHeaderSize + i*elementSize)
		header := p.head[offset : offset+elementSize]
		start := offset + int64(binary.LittleEndian.Uint32(header[4:]))
		keySize, valueSize := int64(binary.LittleEndian.Uint32(header[8:])), int64(binary.LittleEndian.Uint32(header[12:]))
		if keySize == 0 || keySize > maxKeySize || valueSize < valueHeader || p.offset+start+keySize+valueSize > p.end {
			continue
		}
		both := s.bytes(p, start, keySize, keySize+valueSize)
		if both == nil {
			continue
		}
		flags := binary.LittleEndian.Uint32(header)
		fn(both[:keySize:keySize], both[keySize:], flags&flagBucketElement != 0)
	}
}

// bytes returns key and value of an element of a page, which may lie in those
// behind it, or nil if they cannot be read or are no value of ours.
func (s *salvager) bytes(p *strayPage, start, keySize, size int64) []byte {
	if start+size <= int64(len(p.head)) {
		return p.head[start : start+size]
	}
	var format [1]byte // before the rest takes memory
	if _, err := s.file.ReadAt(format[:], p.offset+start+keySize); err != nil || format[0] != valueFormat {
		return nil
	}
	if s.budget -= size; s.budget < 0 {
		s.out.Incomplete = true
		return nil
	}
	b := make([]byte, size)
	if _, err := s.file.ReadAt(b, p.offset+start); err != nil {
		return nil
	}
	return b
}

// readInline takes what is intact in a bucket that lies in an element, and in
// those in it.
func (s *salvager) readInline(name, value []byte, among []bucket, depth int) (values []strayValue) {
	s.out.noteBucketName(string(name))
	if len(value) < bucketHeaderSize+pageHeaderSize+elementSize || depth > MaxNesting || binary.LittleEndian.Uint64(value) != 0 {
		return nil
	}
	head := value[bucketHeaderSize:]
	inline := &strayPage{head: head, end: int64(len(head))}
	s.eachElement(inline, func(key, value []byte, isBucket bool) {
		if isBucket {
			values = append(values, s.readInline(key, value, among, depth+1)...)
		} else if in, record := identify(among, key, value); in != "" {
			values = append(values, strayValue{in, string(key), record})
		}
	})
	return values
}

// noteBucketName notes that there was a bucket with a name, perhaps one of an
// embedding program.
func (s *Salvaged) noteBucketName(name string) {
	if len(s.names) < maxBucketNames && !slices.Contains(buckets, bucket(name)) {
		s.names[name] = true
	}
}

// maxBucketNames is how many names of buckets are remembered.
const maxBucketNames = 256

// maxAppBuckets is for how many buckets each value is tried that belongs to no
// other.
const maxAppBuckets = 256

// appBuckets returns buckets that embedding programs may have had.
func (s *Salvaged) appBuckets() (found []bucket) {
	seen := make(map[bucket]bool)
	add := func(name bucket) {
		if strings.HasPrefix(string(name), string(bucketApps)+"/") && !seen[name] {
			seen[name] = true
			found = append(found, name)
		}
	}
	names := slices.Sorted(maps.Keys(s.names))
	for _, name := range slices.Sorted(maps.Keys(s.apps)) {
		add(name)
	}
	for _, name := range names {
		add(bucketApps + "/" + bucket(name))
	}
	// A name says nothing about the bucket in which it lies.
	for n := 0; n < len(found) && len(found) < maxAppBuckets; n++ {
		for _, name := range names {
			add(found[n] + "/" + bucket(name))
		}
	}
	return found[:min(len(found), maxAppBuckets)]
}
