package pipeline

import (
	"context"
	"errors"
	"io"
)

// Reader reads the output of a stage. It is not for concurrent use, except
// that Close may be called while another goroutine is in Read.
type Reader struct {
	pipe   *pipe
	cancel context.CancelCauseFunc
	buffer []byte // taken from pipe.full
	unread []byte // the rest of it
	err    error  // why there is nothing more to read

	ended     chan struct{}   // closed when the goroutine has returned
	abandoned <-chan struct{} // closed when Close need not wait for that; may be nil
}

// Read reads what the stage has written.
func (r *Reader) Read(p []byte) (int, error) {
	if !r.fill() {
		return 0, r.err
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// WriteTo writes all that the stage has yet to write to w, buffer by buffer.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for r.fill() {
		n, err := w.Write(r.unread)
		total += int64(n)
		r.unread = r.unread[n:]
		if err != nil {
			return total, err
		}
	}
	if errors.Is(r.err, io.EOF) {
		return total, nil
	}
	return total, r.err
}

// fill sees to it that there is something to read. It returns false when there
// is no more, and r.err tells why.
func (r *Reader) fill() bool {
	if len(r.unread) == 0 && r.err == nil {
		r.err = r.nextBuffer()
	}
	return len(r.unread) > 0
}

// nextBuffer gives the buffer that has been read back and waits for another.
func (r *Reader) nextBuffer() error {
	if r.buffer != nil {
		r.pipe.empty <- r.buffer // has room for all there are
		r.buffer = nil
	}
	if err := r.pipe.stopCause(); err != nil {
		return err
	}
	select {
	case buffer, ok := <-r.pipe.full:
		if !ok {
			return r.finish()
		}
		r.buffer, r.unread = buffer, buffer
		return nil
	case <-r.pipe.stopped:
		return r.pipe.cause()
	}
}

// finish returns why the stage has ended and releases the context.
func (r *Reader) finish() error {
	r.cancel(nil)
	if r.pipe.err != nil {
		return r.pipe.err
	}
	return io.EOF
}

// Close stops the stage and waits until it has returned, so that nothing that
// it works on is touched any longer; for an exception see Readahead. Reads after
// Close fail. It returns no error: one of the stage is of no interest to who
// does not read on.
func (r *Reader) Close() error {
	r.cancel(io.ErrClosedPipe)
	select {
	case <-r.ended:
	case <-r.abandoned:
	}
	return nil
}
