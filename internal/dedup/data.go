package dedup

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// nextData returns the first place from at on where a file has data, or its
// size if there is none.
func nextData(f *os.File, at, size int64) (int64, error) {
	place, err := seek(f, at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, nil // nothing but a hole is left
	}
	return min(place, size), err
}

// nextHole returns where the data end that a file has at a place.
func nextHole(f *os.File, at, size int64) (int64, error) {
	place, err := seek(f, at, unix.SEEK_HOLE)
	if errors.Is(err, unix.ENXIO) {
		return size, nil // somebody has cut the file
	}
	return min(place, size), err
}

// seek is lseek(2).
func seek(f *os.File, at int64, whence int) (place int64, err error) {
	err = beneath.Retry(func() (err error) {
		place, err = unix.Seek(int(f.Fd()), at, whence)
		return err
	})
	return place, os.NewSyscallError("lseek", err)
}

// extent is a range of a file. It is data, or a hole. The zero value is none.
type extent struct {
	start, end int64
	data       bool
}

// at returns the extent that a place is in, at least from there on: e, if that is
// the one. What ends it may be found only far behind.
func (e extent) at(f *os.File, at, size int64) (extent, error) {
	if at < e.end {
		return e, nil
	}
	start, err := nextData(f, at, size)
	if err != nil || start > at {
		return extent{start: at, end: start}, err
	}
	end, err := nextHole(f, at, size)
	return extent{start: at, end: end, data: true}, err
}
