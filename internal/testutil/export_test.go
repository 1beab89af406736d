package testutil

import (
	"context"

	"golang.org/x/sys/unix"
)

// What the tests of this package reach besides its interface.
var (
	Cached      = cached
	AskMirror   = askMirror
	ErrNoMirror = errNoMirror
	Attach      = attach
)

// MountUntilKilled mounts a small file system as LoopMount does, but without a
// test at whose end it would be unmounted.
func MountUntilKilled(ctx context.Context, fs string) (string, error) {
	disk, err := Loop{FS: fs, Size: 32 << 20}.mount(ctx)
	if err != nil {
		return "", err
	}
	return disk.Dir(), nil
}

// ImageBytes returns how much room the file of the disk takes.
func (d *Disk) ImageBytes() (int64, error) {
	var stat unix.Stat_t
	err := unix.Fstat(int(d.image.Fd()), &stat)
	return stat.Blocks * 512, err
}
