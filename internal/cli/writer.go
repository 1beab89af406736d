package cli

import "io"

// Writer passes on what is written to it until that fails, and remembers the
// error, so that whoever prints many lines has to ask only once.
type Writer struct {
	w   io.Writer
	err error
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes p, unless something failed before.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.err == nil {
		n, w.err = w.w.Write(p)
	}
	return n, w.err
}

// Unwrap returns what is written to, for those who need to know what it is.
func (w *Writer) Unwrap() io.Writer { return w.w }

// Err returns the first error of Write.
func (w *Writer) Err() error { return w.err }
