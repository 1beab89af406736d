package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// newMounter mounts by the system calls that take a mount apart: fsopen(2),
// fsconfig(2), fsmount(2) and move_mount(2). Layers are passed as descriptors
// (Linux 6.13), so there is no limit on their paths and no way to be led
// astray between looking at a directory and mounting it.
type newMounter struct{}

// newMounterWorks tells whether the kernel takes the layers of an overlay as
// descriptors. Nothing is mounted to find out.
func newMounterWorks(dir *at.Dir) bool {
	fs, err := fsopen()
	if err != nil {
		return false
	}
	defer func() { _ = fs.Close() }()
	return unix.FsconfigSetFd(int(fs.Fd()), "lowerdir+", dir.Fd()) == nil
}

func fsopen() (*os.File, error) {
	fd, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	return os.NewFile(uintptr(fd), fsType), nil
}

// attach implements mounter.
func (m newMounter) attach(ctx context.Context, s *stack, dir *at.Dir, name string) (err error) {
	mount, err := m.detached(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mount.Close()) }()
	target, err := dir.Sub(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	const flags = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	if err := unix.MoveMount(int(mount.Fd()), "", target.Fd(), "", flags); err != nil {
		return &os.PathError{Op: "move_mount", Path: dir.Path(name), Err: err}
	}
	// Below a shared mount the new one has become shared too.
	propagation := unix.MountAttr{Propagation: uint64(s.options.propagation &^ unix.MS_REC)}
	if err := unix.MountSetattr(int(mount.Fd()), "", unix.AT_EMPTY_PATH, &propagation); err != nil {
		return errors.Join(&os.PathError{Op: "mount_setattr", Path: dir.Path(name), Err: err}, detach(dir))
	}
	return nil
}

// detached implements mounter.
func (newMounter) detached(_ context.Context, s *stack) (mount *os.File, err error) {
	fs, err := fsopen()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, fs.Close()) }()
	fd := int(fs.Fd())
	if err := configure(fd, s); err != nil {
		return nil, withKernelLog(fd, err)
	}
	if err := unix.FsconfigCreate(fd); err != nil {
		return nil, withKernelLog(fd, os.NewSyscallError("fsconfig", err))
	}
	mountFD, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, mountAttributes(s.options.flags))
	if err != nil {
		return nil, withKernelLog(fd, os.NewSyscallError("fsmount", err))
	}
	return os.NewFile(uintptr(mountFD), fsType), nil
}

// configure describes the stack to the kernel.
func configure(fd int, s *stack) error {
	set := func(key string, err error) error {
		if err != nil {
			return fmt.Errorf("fsconfig %s: %w", key, err)
		}
		return nil
	}
	if err := set("source", unix.FsconfigSetString(fd, "source", fsType)); err != nil {
		return err
	}
	for _, lower := range s.lowers {
		if err := set("lowerdir+", unix.FsconfigSetFd(fd, "lowerdir+", lower.Fd())); err != nil {
			return fmt.Errorf("%s: %w", lower.Path("."), err)
		}
	}
	if s.upper != nil {
		err := errors.Join(
			set("upperdir", unix.FsconfigSetFd(fd, "upperdir", s.upper.Fd())),
			set("workdir", unix.FsconfigSetFd(fd, "workdir", s.work.Fd())))
		if err != nil {
			return err
		}
	}
	for _, option := range append(superblockFlags(s.options.flags), s.options.data...) {
		key, value, hasValue := strings.Cut(option, "=")
		var err error
		if hasValue {
			err = unix.FsconfigSetString(fd, key, value)
		} else {
			err = unix.FsconfigSetFlag(fd, key)
		}
		if err := set(option, err); err != nil {
			return err
		}
	}
	return nil
}

// superblockFlags returns those flags of mount(2) that concern the file system
// and not the mount, as options of fsconfig(2).
func superblockFlags(flags uintptr) []string {
	var options []string
	for flag, option := range map[uintptr]string{
		unix.MS_RDONLY: "ro", unix.MS_SYNCHRONOUS: "sync", unix.MS_DIRSYNC: "dirsync", unix.MS_MANDLOCK: "mand",
	} {
		if flags&flag != 0 {
			options = append(options, option)
		}
	}
	return options
}

// mountAttributes returns the attributes of fsmount(2) for flags of mount(2).
func mountAttributes(flags uintptr) int {
	attributes := 0
	for flag, attribute := range map[uintptr]int{
		unix.MS_RDONLY: unix.MOUNT_ATTR_RDONLY, unix.MS_NOSUID: unix.MOUNT_ATTR_NOSUID,
		unix.MS_NODEV: unix.MOUNT_ATTR_NODEV, unix.MS_NOEXEC: unix.MOUNT_ATTR_NOEXEC,
		unix.MS_NODIRATIME: unix.MOUNT_ATTR_NODIRATIME,
	} {
		if flags&flag != 0 {
			attributes |= attribute
		}
	}
	switch {
	case flags&unix.MS_STRICTATIME != 0:
		attributes |= unix.MOUNT_ATTR_STRICTATIME
	case flags&unix.MS_NOATIME != 0:
		attributes |= unix.MOUNT_ATTR_NOATIME
	}
	return attributes
}

// withKernelLog adds what the kernel has to say about a failure. It is read
// from the file system context, a message per read.
func withKernelLog(fd int, err error) error {
	message := make([]byte, 1024)
	for range 16 {
		n, errRead := unix.Read(fd, message)
		if errRead != nil {
			break
		}
		// "e overlay: text", where the first letter tells how grave it is.
		_, text, _ := strings.Cut(strings.TrimSpace(string(message[:n])), " ")
		err = fmt.Errorf("%w (%s)", err, text)
	}
	return err
}
