package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/csdb/csdb/internal/pipeline"
)

// SizeUnknown is the size of what nobody can tell in advance.
const SizeUnknown = -1

// Input is what a command reads.
type Input struct {
	io.Reader

	// Size is how many bytes there are to be read, or SizeUnknown.
	Size   int64
	closes []io.Closer
}

// Close ends the reading.
func (in *Input) Close() error {
	var err error
	for _, c := range in.closes {
		err = errors.Join(err, c.Close())
	}
	return err
}

// OpenInput opens the file at path for reading, or the standard input if path
// is empty. Reading ends with an error when the context does, even if it waits
// for somebody to type.
func (e Env) OpenInput(ctx context.Context, path string) (*Input, error) {
	in := &Input{Reader: e.Stdin, Size: SizeUnknown}
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		in.Reader, in.closes = file, []io.Closer{file}
	}
	if file, ok := in.Reader.(*os.File); ok {
		in.Size = sizeLeft(file)
	}
	if in.Size == SizeUnknown {
		ahead := pipeline.Readahead(ctx, in.Reader)
		in.Reader, in.closes = ahead, append([]io.Closer{ahead}, in.closes...)
	}
	return in, nil
}

// sizeLeft returns how many bytes of a regular file are yet to be read.
func sizeLeft(file *os.File) int64 {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return SizeUnknown
	}
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return SizeUnknown
	}
	return max(info.Size()-at, 0)
}
