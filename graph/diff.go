package graph

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// DiffOptions are what may be said about a diff.
type DiffOptions struct {
	// From is the layer to compare with; "" means the parent.
	From model.LayerID
	// Compression is that of the stream. Nil means that of the diff which the
	// layer was made from, if it can be written, and else none.
	Compression *model.Compression
}

// Diff returns what makes a layer out of its parent, or out of another layer,
// as a tar stream. If the layer was made from a diff, the uncompressed form of
// the stream is the same bit for bit; that it is, is verified on the way, and
// a difference shows as an error that matches model.ErrCorrupt before the end
// of the stream.
//
// While the stream is open nobody removes the layer or applies a diff to it:
// whoever wants to waits, so whoever reads must not do that himself. With
// drivers that mount a layer to read it (see drivers.Viewer), the same holds
// for mounting and unmounting it. No other lock is held. The stream must be
// closed.
func (s *Store) Diff(ctx context.Context, id model.LayerID, options DiffOptions) (io.ReadCloser, error) {
	p, err := s.openPair(ctx, id, options.From)
	if err != nil {
		return nil, err
	}
	compression := p.compression()
	if options.Compression != nil {
		compression = *options.Compression
	}
	if err = compress.Writable(compression); err == nil {
		err = p.openTarSplit(ctx)
	}
	if err != nil {
		return nil, model.OnObject(model.KindLayer, id, errors.Join(err, p.close()))
	}
	stream := pipeline.Start(ctx, func(ctx context.Context, w io.Writer) error {
		return model.OnObject(model.KindLayer, id, p.compress(ctx, w, compression))
	})
	return &diffStream{Reader: stream, pair: p}, nil
}

// compress writes the difference, compressed.
func (p *pair) compress(ctx context.Context, w io.Writer, compression model.Compression) error {
	out := &valve{w: w}
	z, err := compress.NewWriter(out, compression)
	if err != nil {
		return err
	}
	err = p.write(ctx, z)
	// The end of the compressed form must not make a broken stream look whole.
	out.shut.Store(err != nil)
	return errors.Join(err, z.Close())
}

// valve is a writer that can be shut. Compressors write in goroutines of their
// own.
type valve struct {
	w    io.Writer
	shut atomic.Bool
}

func (v *valve) Write(p []byte) (int, error) {
	if v.shut.Load() {
		return len(p), nil
	}
	return v.w.Write(p)
}

// diffStream is a diff that is being written.
type diffStream struct {
	*pipeline.Reader
	pair *pair
}

// Close stops the writing and lets others have the layer.
func (d *diffStream) Close() error { return errors.Join(d.Reader.Close(), d.pair.close()) }

// compression returns the compression that the diff has unless somebody asks
// for another one.
func (p *pair) compression() model.Compression {
	if d := p.layer.Diff; d != nil && compress.Writable(d.Compression) == nil {
		return d.Compression
	}
	return model.Uncompressed
}

// write writes the difference as a tar stream.
func (p *pair) write(ctx context.Context, w io.Writer) error {
	switch {
	case p.empty():
		_, err := w.Write(make([]byte, 1024)) // the end of an archive
		return err
	case p.tarSplit != nil:
		return p.replay(ctx, w)
	}
	return drivers.Diff(ctx, p.store.driver, p.layer.DriverDir(), p.fromDir(), w)
}

// tarSplitBuffer is the size of the buffer through which a tar-split is read.
const tarSplitBuffer = 64 << 10

// replay writes the stream that the layer was made from.
func (p *pair) replay(ctx context.Context, w io.Writer) (err error) {
	split, err := tarsplit.Decompress(bufio.NewReaderSize(p.tarSplit, tarSplitBuffer))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, split.Close()) }()
	files, err := drivers.OpenContent(ctx, p.store.driver, p.layer.DriverDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	sum := pipeline.NewSum()
	if err := tarsplit.Replay(ctx, io.MultiWriter(w, sum), split, files); err != nil {
		return err
	}
	if d := p.layer.Diff; sum.Size() != d.Size {
		return fmt.Errorf("%w: read %d bytes instead of %d bytes: layer content incorrect size", model.ErrCorrupt, sum.Size(), d.Size)
	} else if sum.Digest() != d.Digest {
		return fmt.Errorf("%w: %s instead of %s", model.ErrLayerContentIncorrect, sum.Digest(), d.Digest)
	}
	return nil
}

// Changes lists the paths at which a layer differs from its parent, or from
// another layer, sorted by path.
func (s *Store) Changes(ctx context.Context, id, from model.LayerID) (changes []model.Change, err error) {
	p, err := s.openPair(ctx, id, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if p.empty() {
		return nil, nil
	}
	changes, err = drivers.Changes(ctx, p.store.driver, p.layer.DriverDir(), p.fromDir())
	return changes, model.OnObject(model.KindLayer, id, err)
}

// DiffSize returns how many bytes of file content the difference between a
// layer and its parent, or another layer, has.
func (s *Store) DiffSize(ctx context.Context, id, from model.LayerID) (size int64, err error) {
	p, err := s.openPair(ctx, id, from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if p.empty() {
		return 0, nil
	}
	size, err = drivers.DiffSize(ctx, p.store.driver, p.layer.DriverDir(), p.fromDir())
	return size, model.OnObject(model.KindLayer, id, err)
}
