package pipeline

import (
	"context"
	"io"
)

const (
	// bufferSize is the size of the buffers between two stages in bytes:
	// large enough that handing one over costs nothing, small enough that it
	// stays in the processor's cache.
	bufferSize = 256 << 10
	// bufferCount is how many buffers a stage may fill ahead of its reader.
	bufferCount = 4
)

// Start runs produce in a goroutine and returns a reader of what it writes.
// At most 1 MiB is written ahead of the reader. An error of produce is returned
// by Read behind all that was written before it. One that matches io.EOF would
// look like the end, and is returned as io.ErrUnexpectedEOF with its text.
//
// When ctx ends or the reader is closed, the context and the writer of produce
// fail, and produce must return. Reads then fail with the context's cause,
// whether or not it has.
func Start(ctx context.Context, produce func(ctx context.Context, w io.Writer) error) *Reader {
	inner, cancel := context.WithCancelCause(ctx)
	p := &pipe{
		full:    make(chan []byte, bufferCount),
		empty:   make(chan []byte, bufferCount),
		stopped: inner.Done(),
		cause:   func() error { return context.Cause(inner) },
	}
	for range bufferCount {
		p.empty <- nil // allocated when it is first used
	}
	r := &Reader{pipe: p, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		w := &writer{pipe: p}
		p.err = w.finish(produce(inner, w))
		close(p.full)
	}()
	return r
}

// Readahead reads r in a goroutine, up to 1 MiB ahead of what is read from the
// reader that it returns. Nothing can interrupt a Read of r: if ctx has ended,
// Close does not wait for it.
func Readahead(ctx context.Context, r io.Reader) *Reader {
	ahead := Start(ctx, func(_ context.Context, w io.Writer) error {
		_, err := copyAll(w, r)
		return err
	})
	ahead.abandoned = ctx.Done()
	return ahead
}

// copyAll copies r to the writer of a stage by its ReadFrom, which spares a
// buffer, even if r has a WriteTo.
func copyAll(w io.Writer, r io.Reader) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

// pipe passes buffers from one goroutine to another and back.
type pipe struct {
	full  chan []byte // closed behind the last one
	empty chan []byte
	err   error // of the writing side; set before full is closed

	stopped <-chan struct{} // closed when one side need not go on
	cause   func() error    // why stopped is closed
}

// stopCause returns an error if one side need not go on.
func (p *pipe) stopCause() error {
	select {
	case <-p.stopped:
		return p.cause()
	default:
		return nil
	}
}
