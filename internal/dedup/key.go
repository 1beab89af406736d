package dedup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// keyBlock is how much of a file is looked at in one, and keyBuffer how much is
// read at once, in bytes.
const (
	keyBlock  = 4 << 10
	keyBuffer = 1 << 20
)

// keyer makes keys of contents. It has a buffer and is used by one goroutine.
type keyer struct {
	method Method
	buffer []byte
	zeros  []byte
}

func newKeyer(m Method) *keyer {
	return &keyer{method: m, buffer: make([]byte, keyBuffer), zeros: make([]byte, keyBlock)}
}

// key returns a hash over all blocks of a file that are not zero, each with its
// place: so it depends on the content alone, and not on where the file has
// holes, and holes need not be read.
func (k *keyer) key(ctx context.Context, f *os.File, size int64) (string, error) {
	sum := k.method.hash()
	for at := int64(0); at < size; {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		start, err := nextData(f, at, size)
		if err != nil {
			return "", err
		}
		if start == size {
			break
		}
		at = start / keyBlock * keyBlock // not before the end of what has been read
		n, err := f.ReadAt(k.buffer[:min(keyBuffer, size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if n == 0 {
			return "", errChanged
		}
		k.add(sum, k.buffer[:n], at)
		at += keyBuffer
	}
	return string(sum.Sum(nil)), nil
}

// add adds the blocks that were read at a place.
func (k *keyer) add(sum io.Writer, content []byte, at int64) {
	var place [8]byte
	for len(content) > 0 {
		block := content[:min(keyBlock, len(content))]
		if !bytes.Equal(block, k.zeros[:len(block)]) {
			binary.LittleEndian.PutUint64(place[:], uint64(at))
			_, _ = sum.Write(place[:]) // hashes do not fail
			_, _ = sum.Write(block)
		}
		content = content[len(block):]
		at += keyBlock
	}
}
