package project

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What follows is the kernel's: linux/quota.h, linux/dqblk_xfs.h, linux/fs.h.

// Commands of quotactl(2), with the type of quotas that they are about in the
// lowest byte.
const (
	projectQuota = 2
	getQuotaOf   = 0x800007<<8 | projectQuota // Q_GETQUOTA
	setQuotaOf   = 0x800008<<8 | projectQuota // Q_SETQUOTA
	getState     = 0x5805<<8 | projectQuota   // Q_XGETQSTAT, which every file system answers
)

// What the state of quotas is made of.
const (
	accounted = 1 << 4 // FS_QUOTA_PDQ_ACCT
	enforced  = 1 << 5 // FS_QUOTA_PDQ_ENFD
)

// blockSize is the unit of limits, in bytes (QIF_DQBLKSIZE).
const blockSize = 1024

// Which parts of a quota are to be set.
const (
	validBlockLimits = 1 << 0 // QIF_BLIMITS
	validInodeLimits = 1 << 2 // QIF_ILIMITS
)

// quota is struct if_dqblk.
type quota struct {
	blockHard, blockSoft uint64
	space                uint64
	inodeHard, inodeSoft uint64
	inodes               uint64
	blockTime, inodeTime uint64
	valid                uint32
	_                    uint32
}

// state is struct fs_quota_stat.
type state struct {
	version int8
	flags   uint16
	_       int8
	_       [2][3]uint64
	_       [6]uint32
}

// attributes is struct fsxattr.
type attributes struct {
	flags      uint32
	extentSize uint32
	extents    uint32
	project    uint32
	cowExtent  uint32
	_          [8]byte
}

const (
	inherited       = 0x200      // FS_XFLAG_PROJINHERIT
	getAttributesOf = 0x801c581f // FS_IOC_FSGETXATTR
	setAttributesOf = 0x401c5820 // FS_IOC_FSSETXATTR
)

func quotaState(fd int) (flags uint16, err error) {
	var s state
	err = quotactl(fd, getState, None, unsafe.Pointer(&s))
	return s.flags, err
}

func getQuota(fd int, id ID) (q quota, err error) {
	err = quotactl(fd, getQuotaOf, id, unsafe.Pointer(&q))
	if err == unix.ENOENT || err == unix.ESRCH { //nolint:errorlint // as the system call returns it
		return quota{}, nil // XFS has no record of it
	}
	return q, wrap("quotactl_fd", err)
}

func setQuota(fd int, id ID, q *quota) error {
	return wrap("quotactl_fd", quotactl(fd, setQuotaOf, id, unsafe.Pointer(q)))
}

// quotactl calls quotactl_fd(2), which takes any file of the file system.
func quotactl(fd int, command uint, id ID, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, uintptr(fd), uintptr(command), uintptr(id), uintptr(argument), 0, 0)
	runtime.KeepAlive(argument)
	if errno != 0 {
		return errno
	}
	return nil
}

func getAttributes(fd int) (a attributes, err error) {
	err = wrap("FS_IOC_FSGETXATTR", ioctl(fd, getAttributesOf, unsafe.Pointer(&a)))
	return a, err
}

func setAttributes(fd int, a attributes) error {
	return wrap("FS_IOC_FSSETXATTR", ioctl(fd, setAttributesOf, unsafe.Pointer(&a)))
}

func ioctl(fd int, request uint, argument unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
	runtime.KeepAlive(argument)
	if errno != 0 {
		return errno
	}
	return nil
}

// wrap says what the system call was.
func wrap(call string, err error) error { return os.NewSyscallError(call, err) }
