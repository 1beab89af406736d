package tarsplit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// tape reads the stream for archive/tar, which asks for exactly the bytes it
// needs, and keeps those that pass as segments unless it is muted.
type tape struct {
	src     *bufio.Reader
	out     *recordWriter
	segment []byte // not yet written
	muted   bool
	offset  int64 // in the stream, of the next byte
	err     error // of reading the stream or of writing a record
}

func newTape(r io.Reader, out *recordWriter) *tape {
	const buffer = 64 << 10 // archive/tar reads headers in pieces of 512 bytes
	return &tape{src: bufio.NewReaderSize(r, buffer), out: out}
}

// Read reads the stream.
func (t *tape) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	t.offset += int64(n)
	if !t.muted {
		t.record(p[:n])
	}
	if err != nil && err != io.EOF && t.err == nil {
		t.err = notEOF(err)
	}
	if t.err != nil {
		return n, t.err
	}
	return n, err
}

// notEOF returns the error of a failed read, and another of the same text for
// one that wraps io.EOF, say of a connection that was cut: who asks errors.Is
// would take it for the end of the archive.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, err.Error())
	}
	return err
}

// record adds bytes to the segment and writes it whenever it is full.
func (t *tape) record(p []byte) {
	for len(p) > 0 && t.err == nil {
		n := min(len(p), maxSegment-len(t.segment))
		t.segment = append(t.segment, p[:n]...)
		p = p[n:]
		if len(t.segment) == maxSegment {
			_ = t.flush() // t.err keeps the error
		}
	}
}

// flush writes the segment if there is something in it.
func (t *tape) flush() error {
	if len(t.segment) > 0 && t.err == nil {
		t.err = t.out.segment(t.segment)
		t.segment = t.segment[:0]
	}
	return t.err
}
