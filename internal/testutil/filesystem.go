package testutil

import (
	"context"
	"fmt"
	"slices"
)

// Filesystems returns the kinds of file system that drivers are tested on, as
// LoopMount takes them.
func Filesystems() []string {
	return []string{"ext4", "xfs", "btrfs"}
}

// makers are the commands that make a file system in the file whose path
// follows. All features are the defaults of a new file system, so that ext4
// has a journal, but for what is said here.
func makers(fs string) []string {
	switch fs {
	case "ext4":
		// Without inode tables that a kernel thread fills later, beside the
		// test. Inodes of 256 bytes, which some versions of mkfs.ext4 reserve
		// to larger file systems, have times in nanoseconds after 2038.
		return []string{"mkfs.ext4", "-q", "-F", "-I", "256", "-E", "lazy_itable_init=0,lazy_journal_init=0"}
	case "xfs":
		return []string{"mkfs.xfs", "-q", "-f", "-m", "reflink=1,bigtime=1"}
	case "btrfs":
		return []string{"mkfs.btrfs", "-q", "-f"}
	}
	return nil
}

// makeFilesystem makes a file system of the given kind in a file.
func makeFilesystem(ctx context.Context, fs string, options []string, file string) error {
	maker := makers(fs)
	if maker == nil {
		return fmt.Errorf("file system %q is not one of %q", fs, Filesystems())
	}
	return runTool(ctx, slices.Concat(maker, options, []string{file})...)
}
