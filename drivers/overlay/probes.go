package overlay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// overlay finds out whether layers can be mounted and changed at all: entries
// tell their type, whiteouts can be made, and a directory of a lower layer can
// be deleted through a mount of two of them.
func (l *laboratory) overlay(ctx context.Context, dir *at.Dir) (verdict, error) {
	if err := makeDirs(dir, "lower1", "lower2", "lower2/sub", "upper", "work"); err != nil {
		return verdict{}, err
	}
	if hasTypes, err := entriesHaveTypes(dir); err != nil || !hasTypes {
		return verdict{reason: "file system does not tell the types of directory entries (d_type)"}, err
	}
	if err := dir.Mknod("whiteout", unix.S_IFCHR, 0); err != nil {
		return conclude("making a whiteout", err)
	}
	root, err := l.mount(ctx, dir, l.baseOptions(), "lower1", "lower2")
	if err != nil {
		return conclude("mounting", err)
	}
	defer func() { _ = root.Close() }()
	if err := root.Remove("sub"); err != nil {
		return conclude("deleting a directory", err)
	}
	return verdict{ok: true}, nil
}

// metacopy finds out whether changing the mode of a file leaves its content
// below, with the configured mount options.
func (l *laboratory) metacopy(ctx context.Context, dir *at.Dir) (verdict, error) {
	if err := makeDirs(dir, "lower1", "upper", "work"); err != nil {
		return verdict{}, err
	}
	if err := writeFile(dir, "lower1/file"); err != nil {
		return verdict{}, err
	}
	options := l.configuredOptions()
	root, err := l.mount(ctx, dir, options, "lower1")
	if err != nil {
		return conclude("mounting", err)
	}
	defer func() { _ = root.Close() }()
	if err := root.Chmod("file", 0o640); err != nil {
		return conclude("changing a mode", err)
	}
	upper, err := dir.Sub("upper")
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = upper.Close() }()
	_, err = upper.Xattr("file", l.driver.xattr("metacopy"))
	if errors.Is(err, unix.ENODATA) {
		return no("content is copied with the metadata")
	}
	return verdict{ok: err == nil}, err
}

// nativeDiff finds out whether an upper directory tells all changes by itself:
// being opaque is not inherited by a directory that is copied up, and a
// directory cannot be renamed by a mere note of where it came from.
func (l *laboratory) nativeDiff(ctx context.Context, dir *at.Dir) (verdict, error) {
	if err := makeDirs(dir, "lower1", "lower1/opaque", "lower2", "lower2/opaque", "lower2/moved", "upper", "work"); err != nil {
		return verdict{}, err
	}
	lower, err := dir.Sub("lower1")
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = lower.Close() }()
	opaque := l.driver.xattr("opaque")
	if err := lower.SetXattr("opaque", opaque, []byte("y")); err != nil {
		return verdict{}, err
	}
	options := l.configuredOptions()
	if !l.driver.features.metacopy {
		options.drop(metacopyOn)
	}
	root, err := l.mount(ctx, dir, options, "lower1", "lower2")
	if err != nil {
		return conclude("mounting", err)
	}
	defer func() { _ = root.Close() }()

	if err := writeFile(root, "opaque/file"); err != nil {
		return conclude("writing a file", err)
	}
	upper, err := dir.Sub("upper")
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = upper.Close() }()
	if value, err := upper.Xattr("opaque", opaque); err == nil && string(value) == "y" {
		return no("being opaque is copied up")
	}
	switch err := root.Rename("moved", "elsewhere"); {
	case err == nil:
		return no("directories are renamed by redirection")
	case !errors.Is(err, unix.EXDEV):
		return conclude("renaming a directory", err)
	}
	return verdict{ok: true}, nil
}

// volatile finds out whether the kernel mounts without syncs.
func (l *laboratory) volatile(ctx context.Context, dir *at.Dir) (verdict, error) {
	if err := makeDirs(dir, "lower1", "upper", "work"); err != nil {
		return verdict{}, err
	}
	options := l.baseOptions()
	options.add("volatile")
	root, err := l.mount(ctx, dir, options, "lower1")
	if err != nil {
		return conclude("mounting", err)
	}
	return verdict{ok: true}, root.Close()
}

// baseOptions are the options without which nothing can be mounted here.
func (l *laboratory) baseOptions() mountOptions {
	options := mountOptions{propagation: unix.MS_PRIVATE}
	if l.driver.userXattr {
		options.add("userxattr")
	}
	return options
}

// configuredOptions are the options that layers are mounted with by default,
// but for what would keep a probe from writing.
func (l *laboratory) configuredOptions() mountOptions {
	options := l.driver.defaults.clone()
	options.flags &^= unix.MS_RDONLY
	options.data = append(l.baseOptions().data, options.data...)
	return options
}

// mount mounts an overlay of sub-directories of dir where nobody sees it.
func (l *laboratory) mount(ctx context.Context, dir *at.Dir, options mountOptions, lowers ...string) (root *at.Dir, err error) {
	s := &stack{home: l.driver.layers.Dir, options: options}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, name := range append(lowers, "upper", "work") {
		sub, err := dir.Sub(name)
		if err != nil {
			return nil, err
		}
		s.lowers = append(s.lowers, content{Dir: sub, short: probeDir + "/" + name})
	}
	s.upper, s.work = &s.lowers[len(lowers)], &s.lowers[len(lowers)+1]
	s.lowers = s.lowers[:len(lowers)]
	mount, err := l.driver.mounter.detached(ctx, s)
	if err != nil {
		return nil, err
	}
	// The descriptor of root keeps the mount when that of mount is gone.
	defer func() { err = errors.Join(err, mount.Close()) }()
	return at.Open(fmt.Sprintf("/proc/self/fd/%d", mount.Fd()))
}

// conclude makes an answer of an error: no, unless it tells nothing about what
// the kernel and the file system can do.
func conclude(doing string, err error) (verdict, error) {
	for _, passing := range []error{
		unix.ENOSPC, unix.EDQUOT, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EINTR, unix.EAGAIN, unix.EIO, unix.EROFS, unix.EBUSY, unix.ENOENT,
	} {
		if errors.Is(err, passing) {
			return verdict{}, fmt.Errorf("%s: %w", doing, err)
		}
	}
	return no("%s: %v", doing, err)
}

func makeDirs(dir *at.Dir, names ...string) error {
	for _, name := range names {
		if err := dir.MkdirAll(name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a file with some content at a path below dir.
func writeFile(dir *at.Dir, name string) error {
	return os.WriteFile(dir.ProcPath()+"/"+name, []byte("content"), 0o600)
}

// entriesHaveTypes tells whether the kernel says of what type the entries of a
// directory are when it lists them. The directory has some.
func entriesHaveTypes(dir *at.Dir) (have bool, err error) {
	file, err := os.Open(dir.ProcPath())
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	list := make([]byte, 4096)
	n, err := unix.Getdents(int(file.Fd()), list)
	if err != nil {
		return false, os.NewSyscallError("getdents64", err)
	}
	// struct linux_dirent64 of getdents(2): inode, offset, length of the
	// record, type, name.
	const lengthAt, typeAt, nameAt = 16, 18, 19
	for list = list[:n]; len(list) > nameAt; list = list[binary.NativeEndian.Uint16(list[lengthAt:]):] {
		name := unix.ByteSliceToString(list[nameAt:])
		if name != "." && name != ".." {
			return list[typeAt] != unix.DT_UNKNOWN, nil
		}
	}
	return false, nil
}
