package compress

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/csdb/csdb/model"
)

// maxXzDictionary is the largest dictionary in bytes that an xz block may ask
// for. It is what xz -9 uses.
const maxXzDictionary = 64 << 20

// xzGuard passes an xz stream on to its decoder and walks along its structure
// (The .xz File Format, version 1.2.1, https://tukaani.org/xz/format.html) to
// enforce what the decoder does not: it allocates any dictionary that a block
// header asks for, up to 4 GiB, and takes a stream that is cut off between two
// blocks for a whole one.
type xzGuard struct {
	buf  *bufio.Reader
	pass uint64       // how many bytes to pass on before the next step
	step func() error // looks at the element that follows and sets pass and step

	checkSize uint64 // of the check behind each block
	blockSize uint64 // compressed bytes of the block so far
	indexSize uint64 // bytes of the index so far
	records   uint64 // of the index, that remain
}

func newXzGuard(buf *bufio.Reader) *xzGuard {
	g := &xzGuard{buf: buf}
	g.step = g.streamHeader
	return g
}

// Read passes bytes on. It returns io.EOF only behind a whole stream.
func (g *xzGuard) Read(p []byte) (int, error) {
	for g.pass == 0 {
		if err := g.step(); err != nil {
			return 0, err
		}
	}
	n, err := g.buf.Read(p[:min(uint64(len(p)), g.pass)])
	g.pass -= uint64(n)
	return n, cutOff(err)
}

// next sets how many bytes to pass on and what follows.
func (g *xzGuard) next(pass uint64, step func() error) {
	g.pass, g.step = pass, step
}

// streamHeader looks at the beginning of a stream, at padding between two, or
// at the end.
func (g *xzGuard) streamHeader() error {
	const size = 12
	header, err := g.buf.Peek(size)
	switch {
	case err == nil:
	case len(header) == 0 || !errors.Is(err, io.EOF):
		return err
	case len(header)%4 != 0 || binary.LittleEndian.Uint32(header) != 0:
		return io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(header) == 0 {
		g.next(4, g.streamHeader)
		return nil
	}
	g.checkSize = xzCheckSize(header[7])
	g.next(size, g.blockHeader)
	return nil
}

// xzCheckSize returns the size in bytes of a check by its number in the stream
// flags (section 2.1.1.2 of the format).
func xzCheckSize(flags byte) uint64 {
	return []uint64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[flags&0x0f]
}

// blockHeader looks at the header of a block, or at the beginning of the index.
func (g *xzGuard) blockHeader() error {
	first, err := g.buf.Peek(1)
	if err != nil {
		return cutOff(err)
	}
	if first[0] == 0 {
		g.indexSize = 0
		return g.indexHeader()
	}
	header, err := g.buf.Peek((int(first[0]) + 1) * 4)
	if err != nil {
		return cutOff(err)
	}
	if err := checkXzDictionary(header); err != nil {
		return err
	}
	g.blockSize = 0
	g.next(uint64(len(header)), g.chunk)
	return nil
}

// checkXzDictionary reports whether the filters of a block header (section
// 3.1) ask for too much. The decoder itself refuses all filters but LZMA2.
func checkXzDictionary(header []byte) error {
	const lzma2 = 0x21
	fields := xzFields{rest: header[2 : len(header)-4]} // without size, flags and CRC
	flags := header[1]
	if flags&0x40 != 0 {
		fields.integer() // compressed size
	}
	if flags&0x80 != 0 {
		fields.integer() // uncompressed size
	}
	for range flags&0x03 + 1 {
		id, properties := fields.integer(), fields.bytes(fields.integer())
		if fields.bad || id == lzma2 && len(properties) != 1 {
			return errXzHeader
		}
		if id == lzma2 && xzDictionary(properties[0]) > maxXzDictionary {
			return fmt.Errorf("dictionary of more than %d MiB: %w", maxXzDictionary>>20, model.ErrUnsupported)
		}
	}
	return nil
}

// What can be wrong with the structure of a stream.
var (
	errXzHeader = errors.New("block header makes no sense")
	errXzIndex  = errors.New("index makes no sense")
)

// xzDictionary returns the size of a dictionary by the byte that stands for it
// (section 5.3.1).
func xzDictionary(property byte) uint64 {
	if property >= 40 {
		return math.MaxUint32
	}
	return uint64(2|property&1) << (property/2 + 11)
}

// chunk looks at the header of an LZMA2 chunk, which tells how long the chunk
// is.
func (g *xzGuard) chunk() error {
	control, err := g.buf.Peek(1)
	if err != nil {
		return cutOff(err)
	}
	switch c := control[0]; {
	case c == 0: // the end of the block's data, then padding and the check
		g.blockSize++
		g.next(1+padding(g.blockSize)+g.checkSize, g.blockHeader)
		return nil
	case c >= 0xc0:
		return g.chunkOf(6, 3) // with new properties
	case c >= 0x80:
		return g.chunkOf(5, 3)
	default:
		return g.chunkOf(3, 1) // not compressed
	}
}

// chunkOf passes a chunk on whose header has the given size and holds the
// length of what follows, less one, in two bytes at the given place.
func (g *xzGuard) chunkOf(headerSize, at int) error {
	header, err := g.buf.Peek(headerSize)
	if err != nil {
		return cutOff(err)
	}
	size := uint64(headerSize) + uint64(binary.BigEndian.Uint16(header[at:])) + 1
	g.blockSize += size
	g.next(size, g.chunk)
	return nil
}

// indexHeader looks at the number of records in the index (section 4).
func (g *xzGuard) indexHeader() error {
	return g.indexElement(1, func(fields *xzFields) { g.records = fields.integer() })
}

// indexRecord looks at a record of the index, or at what follows the last one:
// padding, a CRC, and the footer of the stream.
func (g *xzGuard) indexRecord() error {
	const crcAndFooter = 4 + 12
	if g.records == 0 {
		g.next(padding(g.indexSize)+crcAndFooter, g.streamHeader)
		return nil
	}
	g.records--
	return g.indexElement(0, func(fields *xzFields) {
		fields.integer() // size of the block without padding
		fields.integer() // size of its content
	})
}

// indexElement parses what follows the given number of bytes and passes on
// both.
func (g *xzGuard) indexElement(skip int, parse func(*xzFields)) error {
	data, err := g.buf.Peek(skip + 2*binary.MaxVarintLen64)
	if err != nil && !errors.Is(err, io.EOF) || len(data) < skip {
		return cutOff(err)
	}
	fields := xzFields{rest: data[skip:]}
	parse(&fields)
	switch {
	case fields.bad && err != nil:
		return io.ErrUnexpectedEOF
	case fields.bad:
		return errXzIndex
	}
	size := uint64(len(data) - len(fields.rest))
	g.indexSize += size
	g.next(size, g.indexRecord)
	return nil
}

// padding returns how many bytes are missing for a multiple of four.
func padding(size uint64) uint64 { return -size & 3 }

// xzFields takes fields off the front of a header.
type xzFields struct {
	rest []byte
	bad  bool // a field was not there
}

// integer takes an integer of variable length (section 1.2).
func (f *xzFields) integer() uint64 {
	value, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[n:]
	return value
}

// bytes takes a number of bytes.
func (f *xzFields) bytes(n uint64) []byte {
	if n > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return nil
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}
