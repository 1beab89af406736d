package compress

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/csdb/csdb/model"
)

// maxZstdWindow is the largest window in bytes that a zstd frame may ask for.
// It is what the zstd command accepts by default and what its highest level
// uses.
const maxZstdWindow = 128 << 20

// newDecoder returns a decoder for one format, which reads buf exactly as far
// as the compressed data goes.
func newDecoder(buf *bufio.Reader, kind model.Compression) (io.ReadCloser, error) {
	switch kind {
	case model.Uncompressed:
		return io.NopCloser(buf), nil
	case model.Bzip2:
		return io.NopCloser(bzip2.NewReader(buf)), nil
	case model.Gzip:
		return newGzipDecoder(buf)
	case model.Xz:
		decoder, err := xz.NewReader(newXzGuard(buf))
		return io.NopCloser(decoder), err
	case model.Zstd:
		return newZstdDecoder(buf)
	}
	return nil, fmt.Errorf("%s: %w", kind, model.ErrUnsupported)
}

// gzipDecoder reads one member of a gzip stream after the other. The decoder
// could do so itself, but takes a header that is cut off within a name for the
// end of the stream.
type gzipDecoder struct {
	buf    *bufio.Reader
	member *gzip.Reader
}

func newGzipDecoder(buf *bufio.Reader) (io.ReadCloser, error) {
	member, err := gzip.NewReader(buf)
	if err != nil {
		return nil, cutOff(err)
	}
	member.Multistream(false)
	return &gzipDecoder{buf: buf, member: member}, nil
}

// Read reads uncompressed data.
func (d *gzipDecoder) Read(p []byte) (int, error) {
	n, err := d.member.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if _, err := d.buf.Peek(1); err != nil {
		return n, err // io.EOF behind the last member
	}
	if err := d.member.Reset(d.buf); err != nil {
		return n, cutOff(err)
	}
	d.member.Multistream(false)
	return n, nil
}

// Close does nothing: there is nothing to release.
func (d *gzipDecoder) Close() error { return nil }

// zstdDecoder names the limit on windows in errors.
type zstdDecoder struct{ *zstd.Decoder }

// newZstdDecoder returns a decoder that does all work in Read: the stages of
// an ingest run side by side already, and each block in flight would cost
// memory.
func newZstdDecoder(r io.Reader) (io.ReadCloser, error) {
	decoder, err := zstd.NewReader(r,
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
	return zstdDecoder{decoder}, err
}

// Read reads uncompressed data.
func (d zstdDecoder) Read(p []byte) (int, error) {
	n, err := d.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("window of more than %d MiB: %w", maxZstdWindow>>20, model.ErrUnsupported)
	}
	return n, err
}

// Close releases the decoder's buffers.
func (d zstdDecoder) Close() error {
	d.Decoder.Close()
	return nil
}
