package testutil

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Of linux/fs.h and, before that had it, of xfs_fs.h: ioctl requests that stop
// a file system. The argument says what becomes of its log.
const (
	fsIOCShutdown      = 0x8004587d // _IOR('X', 125, __u32)
	shutdownNoLogFlush = 2
)

// PowerCut stops the file system at this instant, without writing out what it
// has in memory, and mounts it again, as after a loss of power. Processes that
// are working in it get errors from then on; files that this process still has
// open must be closed before, or soon after, since they keep the file system
// busy.
//
// It is a power cut of the file system, not of the disk: what was handed to
// the disk is there afterwards, even without a flush of the disk's cache.
// Many kernels lack the request for btrfs; the test then skips, also in CI.
func (d *Disk) PowerCut(t testing.TB) {
	t.Helper()
	err := d.shutDown()
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("needs a kernel that can shut down %s", d.loop.FS)
	}
	if err != nil {
		t.Fatalf("power cut: %v", err)
	}
	if _, err := d.point.unmountLeftovers(); err != nil {
		t.Fatalf("power cut: %v", err)
	}
	if err := d.point.unmount(); err != nil {
		t.Fatalf("power cut: %v", err)
	}
	if err := d.attachAndMount(); err != nil {
		t.Fatalf("power returns: %v", err)
	}
}

func (d *Disk) shutDown() error {
	root, err := os.Open(d.point.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return os.NewSyscallError("FS_IOC_SHUTDOWN", unix.IoctlSetPointerInt(int(root.Fd()), fsIOCShutdown, shutdownNoLogFlush))
}
