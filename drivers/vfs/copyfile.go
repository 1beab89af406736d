package vfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyStep is how much of a file is copied before it is looked whether the
// copy is still wanted, in bytes.
const copyStep = 64 << 20

// copyFile copies the content of a regular file of the current directory.
func (c *copier) copyFile(ctx context.Context, name string) (err error) {
	in, err := c.from.Dir().RegularEntry(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := c.to.Dir().Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var stat unix.Stat_t
	if err := unix.Fstat(int(in.Fd()), &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if stat.Size == 0 || c.share(in, out) {
		return nil
	}
	if err := copyContent(ctx, in, out, &stat); err != nil {
		return fmt.Errorf("content of %s: %w", name, err)
	}
	return nil
}

// share makes out share the content of in, if the file system can do that.
func (c *copier) share(in, out *os.File) bool {
	if c.cannotShare {
		return false
	}
	err := unix.IoctlFileClone(int(out.Fd()), int(in.Fd()))
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENOSYS):
		// Not only this file.
		c.cannotShare = true
	}
	return err == nil
}

// copyContent copies what data a file has and leaves its holes out.
func copyContent(ctx context.Context, in, out *os.File, stat *unix.Stat_t) error {
	const block = 512 // the unit of st_blocks, see stat(3type)
	if stat.Blocks*block >= stat.Size {
		return copyRange(ctx, in, out, 0, stat.Size)
	}
	for end := int64(0); end < stat.Size; {
		start, err := unix.Seek(int(in.Fd()), end, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO): // nothing but a hole is left
			start = stat.Size
		case errors.Is(err, unix.EINVAL): // the file system knows no holes
			return copyRange(ctx, in, out, 0, stat.Size)
		case err != nil:
			return os.NewSyscallError("lseek", err)
		}
		if start >= stat.Size {
			break
		}
		if end, err = unix.Seek(int(in.Fd()), start, unix.SEEK_HOLE); err != nil {
			return os.NewSyscallError("lseek", err)
		}
		// A file that grows is copied as long as it was.
		if err := copyRange(ctx, in, out, start, min(end, stat.Size)); err != nil {
			return err
		}
	}
	return out.Truncate(stat.Size)
}

// copyRange copies the bytes from start to end. The kernel does it without
// them passing through this process (copy_file_range(2)) wherever it can;
// io.CopyN sees to that.
func copyRange(ctx context.Context, in, out *os.File, start, end int64) error {
	for _, file := range []*os.File{in, out} {
		if _, err := file.Seek(start, io.SeekStart); err != nil {
			return err
		}
	}
	for start < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out, in, min(copyStep, end-start))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // somebody has cut it meanwhile
		}
		if err != nil {
			return err
		}
		start += n
	}
	return nil
}
