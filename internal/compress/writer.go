package compress

import (
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"

	"github.com/csdb/csdb/model"
)

// NewWriter returns a writer that compresses what is written to it and writes
// the result to w. Bzip2 and xz can only be read: the error for them matches
// model.ErrUnsupported.
//
// The stream is whole once Close has returned without error. Close must also
// be called after an error, to release the encoder; it does not close w.
// Equal content written with equal versions of this program gives equal bytes.
func NewWriter(w io.Writer, kind model.Compression) (io.WriteCloser, error) {
	if err := Writable(kind); err != nil {
		return nil, err
	}
	switch kind { //nolint:exhaustive // the others are not writable
	case model.Gzip:
		return newGzipWriter(w)
	case model.Zstd:
		return newZstdWriter(w)
	}
	return nopCloser{w}, nil
}

// newGzipWriter returns a gzip encoder that compresses several blocks at the
// same time. The size of a block decides about the result, their number only
// about the time it takes.
func newGzipWriter(w io.Writer) (io.WriteCloser, error) {
	const (
		blockSize = 256 << 10
		maxBlocks = 4 // bounds the memory
	)
	encoder := pgzip.NewWriter(w)
	err := encoder.SetConcurrency(blockSize, min(maxBlocks, runtime.GOMAXPROCS(0)))
	return encoder, err
}

// newZstdWriter returns a zstd encoder that reads ahead while it compresses, with
// half of the usual window.
func newZstdWriter(w io.Writer) (io.WriteCloser, error) {
	const window = 4 << 20
	return zstd.NewWriter(w,
		zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
}

// nopCloser gives a writer a Close method that does nothing.
type nopCloser struct{ io.Writer }

// Close does nothing.
func (nopCloser) Close() error { return nil }
