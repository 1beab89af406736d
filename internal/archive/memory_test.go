package archive_test

import (
	"archive/tar"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// manyDirs is an archive of nothing but directories with long names, which
// measures the heap at its end.
type manyDirs struct {
	count, next int
	heap        uint64
}

func (m *manyDirs) Next() (*tar.Header, error) {
	if m.next == m.count {
		m.heap = heapInUse()
		return nil, io.EOF
	}
	m.next++
	e := dir(fmt.Sprintf("usr/share/some-package-with-a-long-name/%03d/directory-with-a-long-name-too-%06d", m.next/1000, m.next))
	return &e.Header, nil
}

func (m *manyDirs) Read([]byte) (int, error) { return 0, io.EOF }

func heapInUse() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestUnpackRemembersNamesCompactly unpacks directories, of which most must be
// remembered: that the name was seen, and the times.
func TestUnpackRemembersNamesCompactly(t *testing.T) {
	const count, most = 30_000, 80 // bytes for each
	src := &manyDirs{count: count}
	before := heapInUse()
	if _, err := archive.Unpack(t.Context(), testutil.Tmpfs(t), src, archive.UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	// The buffer is there for any number of names.
	const buffers = 2 << 20
	if used := src.heap - before; used > buffers+count*most {
		t.Errorf("%d bytes of heap, %d per name", used, (used-buffers)/count)
	}
}
