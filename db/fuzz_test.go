package db_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/db"
)

// FuzzCheckFile changes bytes of a small database, and looks at it and uses it
// in every way. The input says how long the file is, and then, five bytes at a
// time, which byte gets which value.
func FuzzCheckFile(f *testing.F) {
	image := readFile(f, filepath.Join(goldenStores, "v1", db.FileName))
	whole := binary.LittleEndian.AppendUint32(nil, uint32(len(image)))
	f.Add(whole)
	f.Add(binary.LittleEndian.AppendUint32(nil, 4096*5))
	for _, offset := range []uint32{8, 16 + 16, 16 + 32, 4096 + 16 + 40, 2*4096 + 8, 3*4096 + 10, 4*4096 + 12, 5*4096 + 16, 6*4096 + 20, 7*4096 + 24} {
		f.Add(append(binary.LittleEndian.AppendUint32(whole, offset), 0x01))
		f.Add(append(binary.LittleEndian.AppendUint32(whole, offset), 0xff))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) < 4 {
			return
		}
		size := min(int(binary.LittleEndian.Uint32(input)), 2*len(image))
		changed := make([]byte, size)
		copy(changed, image)
		for patch := input[4:]; len(patch) >= 5 && size > 0; patch = patch[5:] {
			changed[int(binary.LittleEndian.Uint32(patch))%size] = patch[4]
		}
		if e := examineImage(t, changed); e.err != nil {
			t.Errorf("wrong class: %v", e.err)
		}
		_ = exercise(t, changed)
	})
}
