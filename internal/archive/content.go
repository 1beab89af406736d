package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/csdb/csdb/model"
)

const (
	// bufferSize is how much content is read and written at once, in bytes.
	bufferSize = 1 << 20
	// holeSize is the length in bytes of the blocks that become holes if they
	// are all zeros. Looking costs nothing measurable, since other blocks
	// differ from zeros in the first bytes, and images are full of sparse
	// files that the archive has filled up (/var/log/lastlog, databases).
	// Shorter blocks would cut files into many extents.
	holeSize = 64 << 10
	// maxFileSize is what the greatest file on ext4 has, in bytes. A sparse
	// entry can claim any size, and the zeros have to be read to see whether
	// they are all that there is.
	maxFileSize = 16 << 40
)

var zeros [holeSize]byte

// copyContent copies the content of an entry to its file.
func (u *unpacker) copyContent(ctx context.Context, file *os.File, hdr *tar.Header) error {
	if hdr.Size < 0 || hdr.Size > maxFileSize {
		return fmt.Errorf("%w: size of %d bytes", model.ErrInvalid, hdr.Size)
	}
	if limit := u.opts.MaxSize; limit > 0 && hdr.Size > limit-u.done.Size {
		return fmt.Errorf("%w: with its %d bytes there is more content than the limit of %d bytes", model.ErrInvalid, hdr.Size, limit)
	}
	hole := false // the file must be extended to its end
	for offset := int64(0); offset < hdr.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := u.buf[:min(hdr.Size-offset, bufferSize)]
		n, err := io.ReadFull(u.src, chunk)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("content, after %d of %d bytes: %w", offset+int64(n), hdr.Size, badStream(err))
		}
		if hole, err = writeSparse(file, chunk, offset); err != nil {
			return invalid(err)
		}
		offset += int64(n)
	}
	u.done.Size += hdr.Size
	if hole {
		return invalid(file.Truncate(hdr.Size))
	}
	return nil
}

// writeSparse writes a chunk, leaving out the blocks of zeros. It tells whether
// the chunk ended in one. Chunks begin at multiples of holeSize.
func writeSparse(file *os.File, chunk []byte, offset int64) (hole bool, err error) {
	start := 0 // of what is to be written before the next hole
	for at := 0; at+holeSize <= len(chunk); at += holeSize {
		if !bytes.Equal(chunk[at:at+holeSize], zeros[:]) {
			continue
		}
		if err := writeAt(file, chunk[start:at], offset+int64(start)); err != nil {
			return false, err
		}
		start = at + holeSize
	}
	return start == len(chunk), writeAt(file, chunk[start:], offset+int64(start))
}

func writeAt(file *os.File, data []byte, offset int64) error {
	if len(data) == 0 {
		return nil
	}
	_, err := file.WriteAt(data, offset)
	return err
}
