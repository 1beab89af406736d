package beneath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Dir is an open directory. It holds a descriptor until it is closed. Its
// methods but Close may be used by several goroutines at once.
type Dir struct{ fd int }

// Open opens the directory at path, which is trusted: it is resolved as usual,
// with symbolic links.
func Open(path string) (*Dir, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &Dir{fd: fd}, nil
}

// Close closes the directory. What is done to it later fails with EBADF.
func (d *Dir) Close() error {
	fd := d.fd
	d.fd = -1 // the number may soon be that of another file
	if err := unix.Close(fd); err != nil && !errors.Is(err, unix.EINTR) {
		// After EINTR the descriptor is closed as well, see close(2).
		return fmt.Errorf("close directory: %w", err)
	}
	return nil
}

// Fd returns the descriptor, which stays the property of d.
func (d *Dir) Fd() int { return d.fd }

// Names returns the names of the entries of d, sorted, without "." and "..".
func (d *Dir) Names() (names []string, err error) {
	// A descriptor of its own has a position of its own, and can be read even
	// if d was opened with O_PATH.
	list, err := d.openAt(".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	dir := Dir{fd: list}
	defer func() { err = errors.Join(err, dir.Close()) }()

	buf := make([]byte, 32<<10)
	for {
		n, err := retry(func() (int, error) { return unix.ReadDirent(list, buf) })
		if errors.Is(err, unix.ENOENT) {
			n, err = 0, nil // it has been removed, so there is nothing in it any more
		}
		if err != nil {
			return nil, pathError("getdents64", ".", err)
		}
		if n <= 0 {
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// openAt opens the entry called name, or "." or "..".
func (d *Dir) openAt(name string, flags int, mode uint32) (int, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	})
	return fd, pathError("openat", name, err)
}

// retry repeats a system call for as long as signals interrupt it. Network
// file systems and FUSE do not restart calls themselves.
func retry[T any](call func() (T, error)) (T, error) {
	for {
		result, err := call()
		if !errors.Is(err, unix.EINTR) {
			return result, err
		}
	}
}

// Retry repeats a system call without result for as long as signals interrupt
// it.
func Retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// pathError says what could not be done to what; nil stays nil.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// checkEntry reports whether name can be that of an entry of a directory, or
// is ".", the directory itself, so that no name whatever can lead a system
// call elsewhere.
func checkEntry(op, name string) error {
	if name == "" || name == ".." || strings.ContainsAny(name, "/\x00") {
		return pathError(op, name, fmt.Errorf("%w: not the name of an entry", model.ErrInvalid))
	}
	return nil
}

// procSelf is a path to what the descriptor refers to, be it a directory or not.
func (d *Dir) procSelf() string { return "/proc/self/fd/" + strconv.Itoa(d.fd) }

// procPath is a path to an entry for system calls that know neither
// descriptors nor flags. The part that /proc resolves is d itself; the entry
// is whatever the call makes of the last component.
func (d *Dir) procPath(name string) string {
	return d.procSelf() + "/" + name
}

// borrow returns a Dir for a directory that is open as an *os.File. The caller
// keeps the file alive and closes it.
func borrow(dir *os.File) *Dir { return &Dir{fd: int(dir.Fd())} }
