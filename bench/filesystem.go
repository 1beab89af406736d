package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// fileSystem is a journalled ext4 on a loop device.
type fileSystem struct{ base, mountPoint string }

// fileSystemSize is enough for a few copies of a root file system.
const fileSystemSize = "12G"

func newFileSystem(ctx context.Context) (*fileSystem, error) {
	base, err := os.MkdirTemp("/var/tmp", "csdb-bench-")
	if err != nil {
		return nil, err
	}
	fs := &fileSystem{base: base, mountPoint: filepath.Join(base, "mnt")}
	image := filepath.Join(base, "ext4.img")
	for _, command := range [][]string{
		{"truncate", "-s", fileSystemSize, image},
		{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image},
		{"mkdir", fs.mountPoint},
		{"mount", "-o", "loop", image, fs.mountPoint},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("%v: %w: %s", command, err, out), os.RemoveAll(base))
		}
	}
	return fs, nil
}

func (fs *fileSystem) remove() error {
	if out, err := exec.Command("umount", "--recursive", fs.mountPoint).CombinedOutput(); err != nil {
		return fmt.Errorf("umount %s: %w: %s", fs.mountPoint, err, out)
	}
	return os.RemoveAll(fs.base)
}
