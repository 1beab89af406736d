package db

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/model"
)

// BenchmarkRecord is what it costs to note a commit.
func BenchmarkRecord(b *testing.B) {
	db, err := Create(b.Context(), b.TempDir(), "vfs", Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.file.update(b.Context(), func(*handle, *bolt.Tx, *space) (bool, error) {
		done := &committed{}
		changes := []Change{{Op: OpCreate, Kind: model.KindLayer, ID: string(model.NewLayerID())}}
		for b.Loop() {
			done.txID++
			db.record(done, changes)
		}
		return false, nil
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
}

func FuzzCommitSlot(f *testing.F) {
	c := &Commit{TxID: 3, Time: time.Unix(5, 7), PID: 11, Command: "command", Op: OpCreate, Kind: "layer", ID: "id", Changes: 13, Waited: 17, Ran: 19, Took: 23, Written: 29}
	if got := decodeCommit(c.encode(), 3); got == nil || cmp.Diff(c, got) != "" {
		f.Error(cmp.Diff(c, got))
	}
	f.Add(c.encode(), 3)
	long := c.encode()
	long[4], long[5], long[6], long[7] = 255, 255, 255, 255
	f.Add(long, 3)
	f.Fuzz(func(t *testing.T, b []byte, slot int) {
		if len(b) == slotSize {
			// Otherwise no input would come past the checksum.
			sum := slotSum(b)
			b[0], b[1], b[2], b[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		}
		if c := decodeCommit(b, slot); c != nil {
			if again := decodeCommit(c.encode(), slot); cmp.Diff(c, again) != "" {
				t.Error(cmp.Diff(c, again))
			}
		}
	})
}
