package main

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/csdb/csdb/db"
)

// pageSize is that of databases on machines of the supported kinds.
const pageSize = 4096

// zeroPage destroys a page of the database.
func zeroPage(t testing.TB, s *sample, page int) {
	t.Helper()
	f, err := os.OpenFile(s.path(db.FileName), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(make([]byte, pageSize), int64(page*pageSize))
	must(t, err)
}

// rootPage returns the page with which the tree of the newest state begins.
func rootPage(t testing.TB, s *sample) int {
	t.Helper()
	image, err := os.ReadFile(s.path(db.FileName))
	must(t, err)
	const root, txID = 16 + 16, 16 + 48
	newest := image[:pageSize]
	if other := image[pageSize:]; binary.LittleEndian.Uint64(other[txID:]) > binary.LittleEndian.Uint64(newest[txID:]) {
		newest = other
	}
	return int(binary.LittleEndian.Uint64(newest[root:]))
}

func TestRescueNeedsAStore(t *testing.T) {
	s := newSample(t)
	must(t, os.RemoveAll(s.root))
	must(t, os.Mkdir(s.root, 0o700))
	r := s.csdb(t, "rescue")
	if r.status != exitUnreadable {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	entries, err := os.ReadDir(s.root)
	must(t, err)
	if len(entries) > 0 {
		t.Errorf("something was written: %v", entries)
	}
}
