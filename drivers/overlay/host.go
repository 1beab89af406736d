package overlay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// needUserXattr tells whether the process is in a user namespace, where the
// attributes of overlays that are trusted to root cannot be used. The error
// for a process that may not mount at all matches
// model.ErrDriverNotSupported.
func needUserXattr() (bool, error) {
	rootless, err := drivers.InUserNamespace()
	if err == nil && !rootless && os.Geteuid() != 0 {
		err = fmt.Errorf("%w: overlays are mounted by root or in a user namespace", model.ErrDriverNotSupported)
	}
	return rootless, err
}

// backingFS returns what the file system is called that the home is, or will
// be, in. The error matches model.ErrIncompatibleFS if an overlay cannot be
// written to it whatever the kernel.
func backingFS(home string) (string, error) {
	var stat unix.Statfs_t
	for dir := home; ; dir = filepath.Dir(dir) {
		err := unix.Statfs(dir, &stat)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.ENOENT) || dir == filepath.Dir(dir) {
			return "", &os.PathError{Op: "statfs", Path: dir, Err: err}
		}
	}
	name, known := map[int64]string{
		unix.BTRFS_SUPER_MAGIC:     "btrfs",
		unix.ECRYPTFS_SUPER_MAGIC:  "ecryptfs",
		unix.EXT4_SUPER_MAGIC:      "extfs",
		unix.F2FS_SUPER_MAGIC:      "f2fs",
		unix.FUSE_SUPER_MAGIC:      "fuse",
		unix.NFS_SUPER_MAGIC:       "nfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
		unix.TMPFS_MAGIC:           "tmpfs",
		unix.XFS_SUPER_MAGIC:       "xfs",
		aufsMagic:                  "aufs",
		zfsMagic:                   "zfs",
	}[stat.Type]
	if !known {
		name = fmt.Sprintf("0x%x", stat.Type)
	}
	switch stat.Type {
	case unix.OVERLAYFS_SUPER_MAGIC, unix.ECRYPTFS_SUPER_MAGIC, aufsMagic:
		return name, fmt.Errorf("%s: %s: %w", home, name, model.ErrIncompatibleFS)
	}
	return name, nil
}

// Magic numbers of file systems that are not part of the kernel.
const (
	aufsMagic = 0x61756673
	zfsMagic  = 0x2fc12fc1
)
