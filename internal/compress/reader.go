package compress

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/csdb/csdb/model"
)

// NewReader returns the uncompressed content of r and the format that it was
// found to have. A stream with an unknown beginning, an empty one too, is
// Uncompressed and passes unchanged.
//
// The reader reads r to its end before it reports io.EOF itself, and refuses
// whatever stands behind the compressed data, so that a digest taken of r
// covers all of it and nothing in it goes unnoticed. Errors of r come through
// unchanged. Errors in the data are an *Error, and so match model.ErrInvalid;
// a stream that is too short also matches io.ErrUnexpectedEOF. Data that needs
// more memory than maxZstdWindow or maxXzDictionary to decode gives an error
// that matches model.ErrUnsupported.
//
// Close releases the decoder; it does not close r.
func NewReader(r io.Reader) (io.ReadCloser, model.Compression, error) {
	src := newSource(r)
	start, _ := src.buffer.Peek(magicSize) // fewer of a shorter stream
	if src.err != nil {
		return nil, model.Uncompressed, src.err
	}
	kind := detect(start)
	decoder, err := newReader(src, kind)
	return decoder, kind, err
}

// NewReaderOf is like NewReader for a stream that must have the given format,
// as far as errors are concerned: one of another format is damaged.
func NewReaderOf(r io.Reader, kind model.Compression) (io.ReadCloser, error) {
	return newReader(newSource(r), kind)
}

func newReader(src *source, kind model.Compression) (io.ReadCloser, error) {
	d := &decodingReader{src: src, kind: kind}
	if _, err := src.buffer.Peek(1); errors.Is(err, io.EOF) && kind != model.Uncompressed {
		return nil, d.explain(io.ErrUnexpectedEOF)
	}
	decoder, err := newDecoder(src.buffer, kind)
	if err != nil {
		return nil, d.explain(err)
	}
	d.decoder = decoder
	return d, nil
}

// Error is damage in compressed data. It matches model.ErrInvalid and the
// decoder's own error.
type Error struct {
	Kind model.Compression // the format that the data is in
	Err  error             // what is wrong with it
}

// Error names the format and what is wrong.
func (e *Error) Error() string { return fmt.Sprintf("%s stream: %v", e.Kind, e.Err) }

// Unwrap returns the class of the error and the decoder's own error.
func (e *Error) Unwrap() []error { return []error{model.ErrInvalid, e.Err} }

// errTrailing says that a stream goes on behind the compressed data.
var errTrailing = errors.New("unexpected data behind the end of the stream")

// source reads a stream through a buffer and remembers why reading it failed,
// which the error of a decoder does not tell.
type source struct {
	r      io.Reader
	buffer *bufio.Reader
	err    error
}

// sourceBuffer is the size of the buffer between a stream and its decoder in
// bytes.
const sourceBuffer = 64 << 10

func newSource(r io.Reader) *source {
	s := &source{r: r}
	s.buffer = bufio.NewReaderSize(s, sourceBuffer)
	return s
}

// Read reads the stream itself.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF { // one that wraps io.EOF is not the end
		s.err = err
	}
	return n, err
}

// decodingReader gives the errors of a decoder their meaning.
type decodingReader struct {
	src     *source
	kind    model.Compression
	decoder io.ReadCloser
	err     error // of an earlier Read, explained
}

// Read reads uncompressed data.
func (d *decodingReader) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.decode(p)
	if errors.Is(err, io.EOF) {
		// Whether a decoder looks at what follows is up to its authors; here
		// it is a promise.
		if _, err = d.src.buffer.Peek(1); err == nil {
			err = errTrailing
		}
	}
	d.err = d.explain(err)
	return n, d.err
}

// decode reads from the decoder. The decoders contain panics for states that
// their authors hold impossible; should hostile data reach one, it is damaged
// data, and the program goes on.
func (d *decodingReader) decode(p []byte) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			n, err = 0, fmt.Errorf("decoder panicked: %v", cause)
		}
	}()
	return d.decoder.Read(p)
}

// explain tells the end of the data, a source that could not be read, data
// that is not supported, and data that is damaged apart.
func (d *decodingReader) explain(err error) error {
	switch {
	case d.src.err != nil:
		return d.src.err
	case err == nil, errors.Is(err, io.EOF):
		return err
	case errors.Is(err, model.ErrUnsupported):
		return fmt.Errorf("%s stream: %w", d.kind, err)
	}
	return &Error{Kind: d.kind, Err: err}
}

// cutOff turns the end of the input into the error for one that comes too
// early.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close releases what the decoder holds.
func (d *decodingReader) Close() error { return d.decoder.Close() }
