package tarsplit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Opener opens the files from which a stream is reproduced.
type Opener interface {
	// Open opens a regular file for reading by its name in the archive. The
	// name is as hostile as the archive was: the Opener must confine it to the
	// tree that the archive was unpacked to, not follow a symbolic link in its
	// last component, and not block on a FIFO.
	Open(name string) (*os.File, error)
}

// replayBuffer is how many bytes of a file are read at once, and the size up to
// which a file is checked before any of it is written.
const replayBuffer = 1 << 20

// Replay writes the stream from which a tar-split was recorded to w, in many
// small pieces. split holds the lines of JSON; Decompress gives them.
//
// Of a file whose content has changed nothing is written if it has at most
// 1 MiB, and never the whole: the last part is kept back until the checksum is
// known to be right. Such a file, and one that is missing or has become
// something else, gives an error that names it, matches model.ErrCorrupt and
// contains "file integrity checksum failed". Damage to the tar-split itself
// matches model.ErrCorrupt too. Errors of w come through unchanged.
func Replay(ctx context.Context, w io.Writer, split io.Reader, files Opener) error {
	return Verify(ctx, w, split, files, func(damage *FileError) error { return damage })
}

// Verify is Replay for those who want to know of every file that has changed:
// each one is passed to found, in the order of the stream, and if that returns
// nil Verify goes on with the next file. What is written to w then is not the
// stream.
func Verify(ctx context.Context, w io.Writer, split io.Reader, files Opener, found func(*FileError) error) error {
	p := player{w: w, files: files}
	for entry, err := range Read(split) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		err := p.play(ctx, entry)
		if damage, ok := errors.AsType[*FileError](err); ok {
			err = found(damage)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FileError says that a file has not got the recorded content. It matches
// model.ErrCorrupt.
type FileError struct {
	Name   string // in the archive
	Reason error  // what is wrong with it
}

// Error returns the text that scripts of containers/storage look for.
func (e *FileError) Error() string {
	return fmt.Sprintf("file integrity checksum failed for %q: %v: %v", e.Name, model.ErrCorrupt, e.Reason)
}

// Unwrap returns the class of the error, and its reason.
func (e *FileError) Unwrap() []error { return []error{model.ErrCorrupt, e.Reason} }

// player writes one record after the other.
type player struct {
	w      io.Writer
	files  Opener
	buffer []byte // allocated when there is a file
}

func (p *player) play(ctx context.Context, entry Entry) error {
	if !entry.IsFile() {
		_, err := p.w.Write(entry.Segment)
		return err
	}
	if entry.Size == 0 {
		return nil
	}
	file, err := p.files.Open(entry.Name)
	if err != nil {
		return openError(entry.Name, err)
	}
	defer file.Close()
	if err := checkFile(file, entry); err != nil {
		return err
	}
	return p.playFile(ctx, file, entry)
}

// openError tells a file that is not there any more from one that cannot be
// opened for reasons outside of the layer.
func openError(name string, err error) error {
	for _, gone := range []error{
		fs.ErrNotExist, model.ErrNotFound, // no such file
		model.ErrInvalid, model.ErrCorrupt, // not a regular file, or a name that nothing can have
		unix.ENOTDIR, unix.ELOOP, unix.EISDIR, unix.ENXIO, unix.ENODEV, unix.EXDEV,
		unix.EINVAL, unix.ENAMETOOLONG,
	} {
		if errors.Is(err, gone) {
			return damaged(name, err)
		}
	}
	return fmt.Errorf("open %q: %w", name, err)
}

func damaged(name string, reason error) error { return &FileError{Name: name, Reason: reason} }

// checkFile reports whether a file can have the recorded content.
func checkFile(file *os.File, entry Entry) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return damaged(entry.Name, errors.New("is not a regular file"))
	case info.Size() != entry.Size:
		return damaged(entry.Name, fmt.Errorf("has %d bytes instead of %d", info.Size(), entry.Size))
	}
	return nil
}

// playFile writes the content of a file, the last part only after the checksum
// has been found right.
func (p *player) playFile(ctx context.Context, file io.Reader, entry Entry) error {
	if p.buffer == nil {
		p.buffer = make([]byte, replayBuffer)
	}
	var sum uint64
	for left := entry.Size; ; {
		part := p.buffer[:min(left, replayBuffer)]
		if _, err := io.ReadFull(file, part); err != nil {
			return readError(entry.Name, err)
		}
		sum = checksum(sum, part)
		left -= int64(len(part))
		if left == 0 && sum != entry.Checksum {
			return damaged(entry.Name, fmt.Errorf("content has %016x instead of %016x", sum, entry.Checksum))
		}
		if _, err := p.w.Write(part); err != nil || left == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// readError tells a file that has become shorter from one that cannot be read.
func readError(name string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged(name, errors.New("became shorter while it was read"))
	}
	return fmt.Errorf("read %q: %w", name, err)
}
