package graph

import (
	"io/fs"
	"syscall"
)

// device returns the device that a file lies on.
func device(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Dev
}
