package dedup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
	"github.com/csdb/csdb/model"
)

// shareStep is how much is shared by one system call, in bytes. Old kernels do
// not take more, and none can be interrupted in one.
const shareStep = 16 << 20

// share lets a file share the content of another one of the same size, wherever
// that one has data. equal is false if the kernel finds a difference; what came
// before it may be shared then. bytes is how much is shared now.
func share(ctx context.Context, from, to *os.File, size int64, dryRun bool) (bytes int64, equal bool, err error) {
	var a, b extent
	for at := int64(0); at < size; {
		if err := context.Cause(ctx); err != nil {
			return 0, false, err
		}
		if a, err = a.at(from, at, size); err != nil {
			return 0, false, err
		}
		if b, err = b.at(to, at, size); err != nil {
			return 0, false, err
		}
		end := min(a.end, b.end)
		if a.data || b.data { // two holes are equal
			end = min(end, at+shareStep)
			if !dryRun {
				if equal, err := shareRange(from, to, at, end-at); err != nil || !equal {
					return 0, false, err
				}
			}
		}
		if a.data {
			bytes += end - at
		}
		if end <= at {
			return 0, false, errChanged
		}
		at = end
	}
	return bytes, true, nil
}

// shareRange lets a range of a file be that of another one, if they are equal. A
// range must begin and end at a block, or end with both files.
func shareRange(from, to *os.File, at, length int64) (equal bool, err error) {
	call := unix.FileDedupeRange{
		Src_offset: uint64(at), Src_length: uint64(length),
		Info: []unix.FileDedupeRangeInfo{{Dest_fd: int64(to.Fd()), Dest_offset: uint64(at)}},
	}
	if err := beneath.Retry(func() error { return unix.IoctlFileDedupeRange(int(from.Fd()), &call) }); err != nil {
		return false, os.NewSyscallError("ioctl FIDEDUPERANGE", err)
	}
	switch status := call.Info[0].Status; {
	case status == unix.FILE_DEDUPE_RANGE_DIFFERS:
		return false, nil
	case status < 0:
		return false, os.NewSyscallError("ioctl FIDEDUPERANGE", unix.Errno(-status))
	case call.Info[0].Bytes_deduped != uint64(length):
		return false, nil // a file was cut
	}
	return true, nil
}

// cannotShare tells whether an error means that the file system cannot share.
func cannotShare(err error) bool {
	return slices.ContainsFunc([]error{unix.EOPNOTSUPP, unix.ENOTTY, unix.ENOSYS}, func(e error) bool { return errors.Is(err, e) })
}

// errCannotShare says that the file system cannot share.
var errCannotShare = fmt.Errorf("%w: the file system cannot let files share their content, as btrfs and XFS can", model.ErrUnsupported)

// refused tells whether an error means that the kernel does not let two files
// share, and that others may: they are on different file systems (EXDEV) or
// differ in attributes such as checksums (EINVAL), one is swap space (ETXTBSY),
// or belongs to somebody else (EPERM, EACCES).
func refused(err error) bool {
	those := []error{unix.EXDEV, unix.EINVAL, unix.ETXTBSY, unix.EPERM, unix.EACCES}
	return cannotShare(err) || slices.ContainsFunc(those, func(e error) bool { return errors.Is(err, e) })
}
