package graph

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/flock"
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
// While the stream is open the layer is not changed, unmounted or removed; no
// other lock is held. It must be closed.
func (s *Store) Diff(ctx context.Context, id model.LayerID, options DiffOptions) (io.ReadCloser, error) {
	p, err := s.openPair(ctx, id, options.From)
	if err != nil {
		return nil, err
	}
	compression := p.compression()
	if options.Compression != nil {
		compression = *options.Compression
	}
	if err := compress.Writable(compression); err != nil {
		p.close()
		return nil, model.OnObject(model.KindLayer, id, err)
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
	out.shut = err != nil
	return errors.Join(err, z.Close())
}

// valve is a writer that can be shut.
type valve struct {
	w    io.Writer
	shut bool
}

func (v *valve) Write(p []byte) (int, error) {
	if v.shut {
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
func (d *diffStream) Close() error {
	defer d.pair.close()
	return d.Reader.Close()
}

// pair is a layer with the one that it is compared with. Both are locked
// against changes.
type pair struct {
	store    *Store
	layer    *model.Layer
	from     *model.Layer // nil: nothing
	isParent bool         // from is the parent of layer
	locks    []*flock.KeyLock
}

// openPair finds and locks two layers, and gives them directories if they need
// them for being compared.
func (s *Store) openPair(ctx context.Context, id, from model.LayerID) (p *pair, err error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	p = &pair{store: s}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.layer, err = s.layerRecord(ctx, id); err != nil {
		return nil, err
	}
	if from == "" {
		from = p.layer.Parent
	}
	p.isParent = from == p.layer.Parent
	if p.layer.Made || !p.isParent {
		if p.layer, err = s.makeLayer(ctx, id); err != nil {
			return nil, err
		}
	}
	if from != "" && (p.layer.Made || !p.isParent) {
		if p.from, err = s.makeLayer(ctx, from); err != nil {
			return nil, err
		}
	}
	for _, l := range []*model.Layer{p.layer, p.from} {
		if l == nil || (l == p.from && p.from.ID == p.layer.ID) {
			continue
		}
		lock, err := s.lockLayer(ctx, l.ID, flock.Shared)
		if err != nil {
			return nil, err
		}
		p.locks = append(p.locks, lock)
	}
	// Only now nobody changes it any more.
	p.layer, err = s.layerRecord(ctx, id)
	return p, err
}

// close lets others have the layers.
func (p *pair) close() {
	for _, lock := range p.locks {
		lock.Unlock()
	}
	p.locks = nil
}

// empty tells whether there can be no difference: a layer without directory
// has no content of its own.
func (p *pair) empty() bool { return p.isParent && !p.layer.Made }

func (p *pair) fromDir() string {
	if p.from == nil {
		return ""
	}
	return p.from.DriverDir()
}

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
	case p.isParent && p.layer.Diff != nil && p.layer.Diff.TarSplit != nil && !p.layer.Incomplete:
		return p.replay(ctx, w)
	}
	return drivers.Diff(ctx, p.store.driver, p.layer.DriverDir(), p.fromDir(), w)
}

// replay writes the stream that the layer was made from.
func (p *pair) replay(ctx context.Context, w io.Writer) (err error) {
	file, err := p.store.files.Open(*p.layer.Diff.TarSplit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	split, err := tarsplit.Decompress(bufio.NewReaderSize(file, copyBuffer))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, split.Close()) }()
	files, err := drivers.OpenContent(ctx, p.store.driver, p.layer.DriverDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	sum := &summer{w: w, digester: digest.SHA256.Digester()}
	if err := tarsplit.Replay(ctx, sum, split, files); err != nil {
		return err
	}
	if d := p.layer.Diff; sum.size != d.Size {
		return fmt.Errorf("%w: read %d bytes instead of %d bytes: layer content incorrect size", model.ErrCorrupt, sum.size, d.Size)
	} else if sum.digester.Digest() != d.Digest {
		return fmt.Errorf("%w: %s instead of %s", model.ErrLayerContentIncorrect, sum.digester.Digest(), d.Digest)
	}
	return nil
}

// summer computes digest and size of what is written through it.
type summer struct {
	w        io.Writer
	digester digest.Digester
	size     int64
}

func (s *summer) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	_, _ = s.digester.Hash().Write(p[:n])
	s.size += int64(n)
	return n, err
}

// Changes lists the paths at which a layer differs from its parent, or from
// another layer, sorted by path.
func (s *Store) Changes(ctx context.Context, id, from model.LayerID) (changes []model.Change, err error) {
	p, err := s.openPair(ctx, id, from)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if p.empty() {
		return nil, nil
	}
	changes, err = drivers.Changes(ctx, s.driver, p.layer.DriverDir(), p.fromDir())
	return changes, model.OnObject(model.KindLayer, id, err)
}

// DiffSize returns how many bytes of file content the difference between a
// layer and its parent, or another layer, has.
func (s *Store) DiffSize(ctx context.Context, id, from model.LayerID) (size int64, err error) {
	p, err := s.openPair(ctx, id, from)
	if err != nil {
		return 0, err
	}
	defer p.close()
	if p.empty() {
		return 0, nil
	}
	size, err = drivers.DiffSize(ctx, s.driver, p.layer.DriverDir(), p.fromDir())
	return size, model.OnObject(model.KindLayer, id, err)
}
