package beneath

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

const (
	// inRoot resolves like a process whose root is the directory: absolute
	// symbolic links begin at it and ".." stops at it. Magic links of /proc
	// would lead out whatever the root is.
	inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	// plain refuses symbolic links and everything that could lead out.
	plain = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS
)

// maxRaces bounds how often a resolution is repeated because something was
// renamed in the way of it (EAGAIN, see openat2(2)). A tree in which that
// happens this often is being changed on purpose.
const maxRaces = 64

// openat2 opens name beneath d.
func (d *Dir) openat2(name string, flags int, resolve uint64) (int, error) {
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve}
	for races := 0; ; {
		fd, err := unix.Openat2(d.fd, name, &how)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN) && races < maxRaces:
			races++
			continue
		case errors.Is(err, unix.ENOSYS):
			err = fmt.Errorf("%w: system call openat2, Linux 5.6 or later is needed", model.ErrUnsupported)
		}
		return -1, pathError("openat2", name, err)
	}
}

// Dir opens the directory called name beneath d, following symbolic links.
func (d *Dir) Dir(name string) (*Dir, error) {
	return d.openDir(name, inRoot)
}

// PlainDir opens the directory called name beneath d. A symbolic link anywhere
// in the name gives an error that matches ELOOP or ENOTDIR.
func (d *Dir) PlainDir(name string) (*Dir, error) {
	return d.openDir(name, plain)
}

func (d *Dir) openDir(name string, resolve uint64) (*Dir, error) {
	fd, err := d.openat2(name, unix.O_PATH|unix.O_DIRECTORY, resolve)
	if err != nil {
		return nil, err
	}
	return &Dir{fd: fd}, nil
}

// Regular opens the regular file called name beneath d for reading, following
// symbolic links on the way to it but not the last component. Anything but a
// regular file gives an error that matches model.ErrInvalid, and is not
// touched: opening a device, or a FIFO that somebody waits for, would have
// effects of its own.
func (d *Dir) Regular(name string) (*os.File, error) {
	fd, err := d.openat2(name, unix.O_PATH|unix.O_NOFOLLOW, inRoot)
	if err != nil {
		return nil, err
	}
	return reopenRegular(fd, name)
}

// RegularEntry opens the regular file that is the entry called name of d, as
// Regular does.
func (d *Dir) RegularEntry(name string) (*os.File, error) {
	if err := checkEntry("openat", name); err != nil {
		return nil, err
	}
	fd, err := d.openAt(name, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	return reopenRegular(fd, name)
}

// reopenRegular opens the file for reading that fd refers to, and closes fd.
// Between the look at the file and the opening nobody can put another one in
// its place, because the second opening goes through the descriptor.
func reopenRegular(fd int, name string) (_ *os.File, err error) {
	dir := Dir{fd: fd}
	defer func() { err = errors.Join(err, dir.Close()) }()
	var stat unix.Stat_t
	if err := Retry(func() error { return unix.Fstat(fd, &stat) }); err != nil {
		return nil, pathError("fstat", name, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, pathError("open", name, fmt.Errorf("%w: not a regular file", model.ErrInvalid))
	}
	opened, err := retry(func() (int, error) {
		return unix.Open(dir.procSelf(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return os.NewFile(uintptr(opened), name), nil
}
