package db

import "io"

// Progress is told how far something has come that may take long. It is called
// at the beginning of each step, with what is done and about how many bytes there
// are to work on, -1 if nobody knows. What it returns is then called with how
// many more have been worked on, by one goroutine at a time. Nil shows nothing.
type Progress func(what string, total int64) (done func(n int64))

// Start begins a step, also if p is nil.
func (p Progress) Start(what string, total int64) (done func(n int64)) {
	if p == nil {
		return func(int64) {}
	}
	return p(what, total)
}

// countedFile is a file that tells how much of it has been read, until that is
// all that was expected: some of it may be read twice.
type countedFile struct {
	io.ReaderAt

	left int64
	done func(n int64)
}

// ReadAt reads.
func (f *countedFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(b, at)
	more := min(int64(n), f.left)
	f.left -= more
	f.done(more)
	return n, err
}
