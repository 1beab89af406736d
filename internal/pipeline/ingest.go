package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// Ingest is the stream of a layer on its way in. Reading it gives the
// uncompressed stream; meanwhile it is measured in both forms. Receiving and
// hashing, decompressing, and hashing what comes out are done by a goroutine
// each:
//
//	r ─▶ digest ─▶┊─▶ decompress ─▶┊─▶ digest ─▶┊─▶ Read
//
// A stream that is not compressed needs only the first of them, and is hashed
// once.
type Ingest struct {
	out     io.Reader
	stages  []*Reader // from r to out
	maxSize int64     // 0 is no limit
	size    int64
	err     error // that Read has returned

	kind     model.Compression
	received *Digester // the stream as it arrives
	content  *Digester // uncompressed
}

// NewIngest begins to read the stream r, which may be compressed in any way
// that compress.NewReader knows; its errors are those of this function and of
// Read. A stream whose uncompressed size is more than maxSize bytes is refused
// with an error that matches model.ErrInvalid, unless maxSize is 0.
//
// The caller must Close the Ingest before r.
func NewIngest(ctx context.Context, r io.Reader, maxSize int64) (*Ingest, error) {
	in := &Ingest{maxSize: maxSize, received: NewDigester(r)}
	decoder, kind, err := compress.NewReader(in.stage(Readahead(ctx, in.received)))
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	in.kind = kind
	if kind == model.Uncompressed {
		in.out, in.content = decoder, in.received
		return in, nil
	}
	in.content = NewDigester(in.stage(decompress(ctx, decoder)))
	in.out = in.stage(Readahead(ctx, in.content))
	return in, nil
}

// stage notes that a stage is to be closed.
func (in *Ingest) stage(r *Reader) *Reader {
	in.stages = append(in.stages, r)
	return r
}

// decompress lets a goroutine read and then close a decoder.
func decompress(ctx context.Context, decoder io.ReadCloser) *Reader {
	return Start(ctx, func(_ context.Context, w io.Writer) error {
		_, err := copyAll(w, decoder)
		return errors.Join(err, decoder.Close())
	})
}

// Read reads the uncompressed stream.
func (in *Ingest) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.out.Read(p)
	in.size += int64(n)
	if in.maxSize > 0 && in.size > in.maxSize {
		n, err = 0, fmt.Errorf("uncompressed stream is larger than the limit of %d bytes: %w", in.maxSize, model.ErrInvalid)
	}
	in.err = err
	return n, err
}

// Diff describes the stream: its compression, and digest and size of both
// forms. The stream must have been read to its end.
func (in *Ingest) Diff() (model.Diff, error) {
	if !errors.Is(in.err, io.EOF) {
		return model.Diff{}, fmt.Errorf("layer stream was not read to its end: %w", model.ErrInvalid)
	}
	return model.Diff{
		Compression:      in.kind,
		CompressedDigest: in.received.Digest(),
		CompressedSize:   in.received.Size(),
		Digest:           in.content.Digest(),
		Size:             in.content.Size(),
	}, nil
}

// Close stops the reading of r and waits until it has stopped, unless the
// context has ended and a Read of r still has not.
func (in *Ingest) Close() error {
	var err error
	for _, stage := range in.stages { // a stage may be waiting for the one before it
		err = errors.Join(err, stage.Close())
	}
	return err
}
