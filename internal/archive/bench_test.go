package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// BenchmarkUnpack unpacks the tree of the Go installation in turns with and
// without all that makes it safe, and reports how many times as long the safe
// way takes ("x-plain"), and how many times as much of the processor ("x-cpu"),
// which says more where something else is running.
func BenchmarkUnpack(b *testing.B) {
	stream := pack(b, testutil.GoTree(b), archive.PackOptions{})
	disk := testutil.Loop{FS: "ext4", Size: 4 << 30, Steady: true}.Mount(b).Dir()
	var safe, plain cost
	for b.Loop() {
		safe.add(b, disk, func(dir string) error {
			opts := archive.UnpackOptions{Whiteouts: archive.WhiteoutsOverlay}
			_, err := archive.Unpack(b.Context(), dir, tar.NewReader(bytes.NewReader(stream)), opts)
			return err
		})
		plain.add(b, disk, func(dir string) error {
			return unpackPlainly(dir, tar.NewReader(bytes.NewReader(stream)))
		})
	}
	b.ReportMetric(safe.time.Seconds()/plain.time.Seconds(), "x-plain")
	b.ReportMetric(safe.cpu.Seconds()/plain.cpu.Seconds(), "x-cpu")
	b.ReportMetric(float64(b.N)*float64(len(stream))/1e6/safe.time.Seconds(), "MB/s")
	b.ReportMetric(0, "ns/op") // of both together, with the cleaning up
}

// cost is what something took.
type cost struct{ time, cpu time.Duration }

// add measures what it takes to fill a new directory. Nothing is waited for
// that the kernel writes later, in either case the same.
func (c *cost) add(b *testing.B, disk string, fill func(dir string) error) {
	b.Helper()
	dir := mkdirNew(b, disk)
	runtime.GC()
	begin, cpu := time.Now(), processorTime(b)
	err := fill(dir)
	c.time += time.Since(begin)
	c.cpu += processorTime(b) - cpu
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		b.Fatal(err)
	}
}

// processorTime returns how long this process has used the processor.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// unpackPlainly unpacks an archive that is known to be harmless: a loop as one
// would write it without a second thought.
func unpackPlainly(dir string, r *tar.Reader) error {
	buf := make([]byte, 1<<20)
	times := make(map[string]time.Time)
	for {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, hdr.Name)
		switch hdr.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
			times[path] = hdr.ModTime
		case tar.TypeSymlink:
			err = os.Symlink(hdr.Linkname, path)
		case tar.TypeLink:
			err = os.Link(filepath.Join(dir, hdr.Linkname), path)
		case tar.TypeReg:
			err = writePlainly(path, r, buf)
		}
		if err == nil {
			err = os.Lchown(path, hdr.Uid, hdr.Gid)
		}
		if err == nil && hdr.Typeflag != tar.TypeSymlink {
			err = errors.Join(os.Chmod(path, hdr.FileInfo().Mode()), os.Chtimes(path, hdr.ModTime, hdr.ModTime))
		}
		if err != nil {
			return err
		}
	}
	for path, mtime := range times {
		if err := os.Chtimes(path, mtime, mtime); err != nil {
			return err
		}
	}
	return nil
}

func writePlainly(path string, r io.Reader, buf []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	// Without the other methods of both, which would not use the buffer.
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{r}, buf)
	return errors.Join(err, file.Close())
}

// BenchmarkPack packs the tree of the Go installation, which is in the cache.
func BenchmarkPack(b *testing.B) {
	var size int64
	for b.Loop() {
		var written counter
		if err := archive.Pack(b.Context(), &written, testutil.GoTree(b), archive.PackOptions{}); err != nil {
			b.Fatal(err)
		}
		size = int64(written)
	}
	b.SetBytes(size)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// BenchmarkChanges compares the tree of the Go installation with an empty one
// and an equal one.
func BenchmarkChanges(b *testing.B) {
	tree := testutil.GoTree(b)
	copied := b.TempDir()
	copyTree(b, tree, copied)
	for b.Loop() {
		changes, err := archive.Changes(b.Context(), tree, copied, archive.CompareOptions{})
		if err != nil || len(changes) > 0 {
			b.Fatal(lines(changes), err)
		}
	}
}
