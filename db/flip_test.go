package db_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// examined is what an examination says of a file.
type examined struct {
	found  bool   // a problem, or an error of the class corrupt
	err    error  // of another class
	dumped string // what is there, if nothing was found
}

// examine looks at a file with everything that looks at files.
func examine(t testing.TB, path string) (e examined) {
	var problems []db.Problem
	report, err := db.Examine(t.Context(), 0, path, func(tx *db.ReadTx) (err error) {
		problems, err = tx.Check(t.Context())
		if err == nil && len(problems) == 0 {
			e.dumped, err = dump(tx)
		}
		return err
	})
	e.found = len(problems) > 0 || report != nil && len(report.Problems) > 0 || errors.Is(err, model.ErrCorrupt)
	if !errors.Is(err, model.ErrCorrupt) {
		e.err = err
	}
	return e
}

// flips calls fn for bits of an image: one of each byte, and all eight of those
// with which pages begin. Of what holds nothing it takes a part.
func flips(image []byte, fn func(offset int, bit byte)) {
	free := freePagesOf(image)
	for offset := range image {
		page := image[offset/pageSize*pageSize:][:pageSize]
		header := 16
		if offset < 2*pageSize {
			header = 80 // of a meta page
		}
		within := offset % pageSize
		switch {
		case free[offset/pageSize] || within >= max(header, len(bytes.TrimRight(page, "\x00"))):
			if offset%16 == 0 {
				fn(offset, byte(offset/16%8))
			}
		case within < header:
			for bit := range byte(8) {
				fn(offset, bit)
			}
		default:
			fn(offset, byte(offset%8))
		}
	}
}

// freePagesOf reads the freelist of an image.
func freePagesOf(image []byte) map[int]bool {
	list := image[newestMetaPage(image).freelist()*pageSize:]
	free := make(map[int]bool)
	for i := range int(binary.LittleEndian.Uint16(list[10:])) {
		free[int(binary.LittleEndian.Uint64(list[16+8*i:]))] = true
	}
	return free
}

// TestNoFlippedBitGoesUnnoticed flips bits in a small database, one at a time.
// Either that is found out, or what is in the database is the same.
func TestNoFlippedBitGoesUnnoticed(t *testing.T) {
	image := smallImage(t)
	healthy := examineImage(t, image)
	if healthy.found || healthy.err != nil || healthy.dumped == "" {
		t.Fatalf("before: %+v", healthy)
	}
	const workers = 2
	stride := 1 // or so many bits are passed over for each that is flipped
	switch {
	case testutil.Race:
		stride = 64
	case testing.Short():
		stride = 16
	}
	var work sync.WaitGroup
	var counts [workers]struct{ all, harmless int }
	for worker := range workers {
		path := filepath.Join(t.TempDir(), "image")
		writeFile(t, path, image)
		work.Go(func() {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			n := 0
			flips(image, func(offset int, bit byte) {
				if n++; n%workers != worker || t.Failed() || stride > 1 && n%stride != worker {
					return
				}
				mustWriteAt(t, f, offset, image[offset]^1<<bit)
				e := examine(t, path)
				counts[worker].all++
				if !e.found {
					counts[worker].harmless++
				}
				if e.err != nil || !e.found && e.dumped != healthy.dumped {
					t.Errorf("bit %d of byte %d of page %d: %v, found: %v", bit, offset%pageSize, offset/pageSize, e.err, e.found)
				}
				mustWriteAt(t, f, offset, image[offset])
			})
			if !bytes.Equal(image, readFile(t, path)) {
				t.Error("somebody has written to the file")
			}
		})
	}
	work.Wait()
	t.Logf("%d bits were flipped, %d of them without harm", counts[0].all+counts[1].all, counts[0].harmless+counts[1].harmless)
}

func mustWriteAt(t testing.TB, f *os.File, offset int, b byte) {
	if _, err := f.WriteAt([]byte{b}, int64(offset)); err != nil {
		t.Error(err)
	}
}

// examineImage examines a database that is there in bytes.
func examineImage(t testing.TB, image []byte) examined {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	writeFile(t, path, image)
	return examine(t, path)
}
