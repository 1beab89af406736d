package pipeline

import (
	"errors"
	"fmt"
	"io"
)

// writer collects what a stage writes in buffers.
type writer struct {
	pipe   *pipe
	buffer []byte
}

// Write copies p.
func (w *writer) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		room, err := w.room()
		if err != nil {
			return written, err
		}
		n := copy(room, p[written:])
		w.buffer = w.buffer[:len(w.buffer)+n]
		written += n
	}
	return written, nil
}

// ReadFrom reads r to its end without another buffer in between.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		room, err := w.room()
		if err != nil {
			return total, err
		}
		n, err := r.Read(room)
		w.buffer = w.buffer[:len(w.buffer)+n]
		total += int64(n)
		switch {
		case err == io.EOF: //nolint:errorlint // readers return it unwrapped
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// room returns the free part of a buffer that has some, for which it passes a
// full one on and waits for an empty one.
func (w *writer) room() ([]byte, error) {
	if w.buffer != nil && len(w.buffer) == cap(w.buffer) {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	if err := w.pipe.stopCause(); err != nil {
		return nil, err
	}
	if w.buffer == nil {
		select {
		case w.buffer = <-w.pipe.empty:
		case <-w.pipe.stopped:
			return nil, w.pipe.cause()
		}
		if w.buffer == nil {
			w.buffer = make([]byte, bufferSize)
		}
		w.buffer = w.buffer[:0]
	}
	return w.buffer[len(w.buffer):cap(w.buffer)], nil
}

// finish passes the last buffer on and returns how the stage has ended, given
// what it returned.
func (w *writer) finish(err error) error {
	flushed := w.flush()
	switch {
	case err == nil:
		return flushed
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, err.Error())
	}
	return err
}

// flush passes the buffer on if there is something in it.
func (w *writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	select {
	case w.pipe.full <- w.buffer:
		w.buffer = nil
		return nil
	case <-w.pipe.stopped:
		return w.pipe.cause()
	}
}
