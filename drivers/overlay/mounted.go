package overlay

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// isMounted tells whether an overlay is mounted on the layer's mount point.
// The kernel is asked about this one directory: the mount table may have
// thousands of entries.
func isMounted(layer *at.Dir) (bool, error) {
	isMountPoint, err := layer.IsMountPoint(mergedDir)
	if err != nil || !isMountPoint {
		return false, err
	}
	var stat unix.Statfs_t
	path := layer.ProcPath() + "/" + mergedDir
	if err := unix.Statfs(path, &stat); err != nil {
		return false, &os.PathError{Op: "statfs", Path: layer.Path(mergedDir), Err: err}
	}
	return stat.Type == unix.OVERLAYFS_SUPER_MAGIC, nil
}
