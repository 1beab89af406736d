package overlay

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// isMounted tells whether an overlay, of the kernel or of a mount program, is
// mounted on the layer's mount point.
// The kernel is asked about this one directory: the mount table may have
// thousands of entries.
func isMounted(layer *at.Dir) (bool, error) {
	isMountPoint, err := layer.IsMountPoint(mergedDir)
	if err != nil || !isMountPoint {
		return false, err
	}
	var stat unix.Statfs_t
	path := layer.ProcPath() + "/" + mergedDir
	err = unix.Statfs(path, &stat)
	if errors.Is(err, unix.ENOTCONN) {
		return false, nil // the process of the mount program has ended
	}
	if err != nil {
		return false, &os.PathError{Op: "statfs", Path: layer.Path(mergedDir), Err: err}
	}
	return stat.Type == unix.OVERLAYFS_SUPER_MAGIC || stat.Type == unix.FUSE_SUPER_MAGIC, nil
}

// detachDead removes what is left of a mount whose mount program has ended. It
// is in the way of a new one.
func detachDead(layer *at.Dir) error {
	isMountPoint, err := layer.IsMountPoint(mergedDir)
	if err != nil || !isMountPoint {
		return err
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(layer.ProcPath()+"/"+mergedDir, &stat); !errors.Is(err, unix.ENOTCONN) {
		return nil // whoever uses it finds out
	}
	return detach(layer)
}
