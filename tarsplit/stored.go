package tarsplit

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// Compress returns a writer that writes the lines of a tar-split to w in the
// form in which they are stored: gzip at its best speed. The result is whole
// when Close has returned without error; w is not closed. Equal lines give
// equal bytes.
func Compress(w io.Writer) (io.WriteCloser, error) {
	return gzip.NewWriterLevel(w, gzip.BestSpeed)
}

// Decompress returns the lines of a tar-split of which r has the stored form.
// Damage gives errors that match model.ErrCorrupt, from Decompress or from
// Read; errors of reading r come through unchanged. The reader need not be
// closed, and closing it does not close r.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	lines, err := compress.NewReaderOf(r, model.Gzip)
	if err != nil {
		return nil, storedError(err)
	}
	return storedReader{lines}, nil
}

// storedReader tells damage to what is stored from an invalid argument.
type storedReader struct{ io.ReadCloser }

// Read reads lines.
func (r storedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	return n, storedError(err)
}

func storedError(err error) error {
	if damage, ok := errors.AsType[*compress.Error](err); ok {
		return fmt.Errorf("tar-split: %w: %s data: %w", model.ErrCorrupt, damage.Kind, damage.Err)
	}
	return err
}
