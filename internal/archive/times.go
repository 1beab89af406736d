package archive

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// fileTimes returns the times that an entry's file gets. A time before 1970,
// or after 2262 where 64 bits of nanoseconds end, becomes 1970: file systems
// and programs go wrong on such times in ways of their own. The access time is
// never before the modification time, as if the file had been written.
func fileTimes(hdr *tar.Header) (atime, mtime unix.Timespec) {
	mtime = timespec(hdr.ModTime)
	atime = timespec(hdr.AccessTime)
	if atime.Sec < mtime.Sec || atime.Sec == mtime.Sec && atime.Nsec < mtime.Nsec {
		atime = mtime
	}
	return atime, mtime
}

func timespec(t time.Time) unix.Timespec {
	const maxSeconds = math.MaxInt64 / int64(time.Second)
	if sec := t.Unix(); sec < 0 || sec >= maxSeconds {
		return unix.Timespec{}
	}
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// dirTimes remembers the times that directories are to get once nothing is
// put into them any more. It takes little more space than the last components
// of the names, because archives are sorted: each record says how many bytes
// its name shares with the one before.
type dirTimes struct {
	records []byte
	last    string // the name of the last record
}

// dirTime are the times of one directory.
type dirTime struct {
	name         string
	atime, mtime unix.Timespec
}

// add remembers the times of a directory.
func (t *dirTimes) add(dir dirTime) {
	shared := 0
	for shared < min(len(dir.name), len(t.last)) && dir.name[shared] == t.last[shared] {
		shared++
	}
	suffix := dir.name[shared:]
	for _, n := range []int64{int64(shared), int64(len(suffix)), dir.atime.Sec, dir.atime.Nsec, dir.mtime.Sec, dir.mtime.Nsec} {
		t.records = binary.AppendUvarint(t.records, uint64(n))
	}
	t.records = append(t.records, suffix...)
	t.last = dir.name
}

// all calls yield with what was remembered, in the same order.
func (t *dirTimes) all(yield func(dirTime) bool) {
	name := []byte{}
	for rest := t.records; len(rest) > 0; {
		var n [6]int64
		for i := range n {
			value, size := binary.Uvarint(rest)
			n[i], rest = int64(value), rest[size:]
		}
		name = append(name[:n[0]], rest[:n[1]]...)
		rest = rest[n[1]:]
		if !yield(dirTime{
			name:  string(name),
			atime: unix.Timespec{Sec: n[2], Nsec: n[3]},
			mtime: unix.Timespec{Sec: n[4], Nsec: n[5]},
		}) {
			return
		}
	}
}

// set sets the times of a directory, unless a later entry or somebody else has
// put something else in its place.
func (t dirTime) set(root *beneath.Dir) error {
	dir, err := root.PlainDir(t.name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(dir.Chtimes(".", t.atime, t.mtime), dir.Close())
}
