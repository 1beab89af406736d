package db

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/csdb/csdb/model"
)

// Who holds the lock exclusively, and has committed a transaction, notes that in
// the lock file before he gives the lock back: it costs one write of a few
// bytes, is not synced, and can be read without a lock. The file is a ring of
// slots; the number of the transaction tells which. Whatever is in a slot
// without the right checksum is passed over: it may be torn, or somebody else's.
const slotSize = 256

// RecordedCommits is how many transactions Commits knows at most.
const RecordedCommits = 256

// The layout of a slot, in little endian:
//
//	 0  checksum of all that follows, after slotMagic: CRC-32C
//	 4  lengths of four texts: the command, the operation, the kind and the ID of
//	    the object
//	 8  number of the transaction
//	16  time in nanoseconds since 1970
//	24  PID, 4 bytes; number of changes, 4 bytes
//	32  wait, function and commit in nanoseconds, and bytes written
//	64  the texts, one behind the other
const (
	slotMagic = "csdb-commit-1"
	slotTexts = 64
)

// slotText is how long each of the texts may be, in bytes.
var slotText = [4]int{64, 16, 16, 96}

// Commit tells how long a transaction has taken that was committed.
type Commit struct {
	TxID uint64
	// Time is that of the end of the commit.
	Time time.Time
	// PID and Command name the process that did it.
	PID     int
	Command string
	// Op, Kind and ID are those of the first of its changes, of which there are
	// so many.
	Op      Op
	Kind    model.Kind
	ID      string
	Changes int
	// Waited is how long the process waited for others, and opened the file;
	// Ran is how long the function of the transaction took, and Took the commit.
	Waited, Ran, Took time.Duration
	// Written is how many bytes the commit wrote.
	Written int64
}

// record notes in the lock file what the holder of the lock has committed. That
// this may fail is of no importance.
func (db *DB) record(done *committed, changes []Change) {
	c := Commit{
		TxID: done.txID, Time: db.options.Now(), PID: os.Getpid(), Command: command(), Changes: len(changes),
		Waited: done.waited, Ran: done.ran, Took: done.took, Written: done.written,
	}
	if len(changes) > 0 {
		c.Op, c.Kind, c.ID = changes[0].Op, changes[0].Kind, changes[0].ID
	}
	_, _ = db.file.lock.WriteAt(c.encode(), int64(done.txID%RecordedCommits)*slotSize)
}

// encode returns the slot of a commit.
func (c *Commit) encode() []byte {
	b := make([]byte, slotTexts, slotSize)
	for i, text := range []string{c.Command, string(c.Op), string(c.Kind), c.ID} {
		text = text[:min(len(text), slotText[i])]
		b[4+i] = byte(len(text))
		b = append(b, text...)
	}
	binary.LittleEndian.PutUint64(b[8:], c.TxID)
	binary.LittleEndian.PutUint64(b[16:], uint64(c.Time.UnixNano()))
	binary.LittleEndian.PutUint32(b[24:], uint32(c.PID))
	binary.LittleEndian.PutUint32(b[28:], uint32(c.Changes))
	for i, n := range []int64{int64(c.Waited), int64(c.Ran), int64(c.Took), c.Written} {
		binary.LittleEndian.PutUint64(b[32+8*i:], uint64(n))
	}
	b = b[:slotSize]
	binary.LittleEndian.PutUint32(b, slotSum(b))
	return b
}

// decodeCommit reads the slot with the given number. It returns nil if that holds
// nothing.
func decodeCommit(b []byte, slot int) *Commit {
	if len(b) != slotSize || binary.LittleEndian.Uint32(b) != slotSum(b) {
		return nil
	}
	number := func(at int) int64 { return int64(binary.LittleEndian.Uint64(b[at:])) }
	c := &Commit{
		TxID: binary.LittleEndian.Uint64(b[8:]), Time: time.Unix(0, number(16)),
		PID: int(binary.LittleEndian.Uint32(b[24:])), Changes: int(binary.LittleEndian.Uint32(b[28:])),
		Waited: time.Duration(number(32)), Ran: time.Duration(number(40)), Took: time.Duration(number(48)), Written: number(56),
	}
	texts := b[slotTexts:]
	for i, into := range []*string{&c.Command, (*string)(&c.Op), (*string)(&c.Kind), &c.ID} {
		n := int(b[4+i])
		if n > slotText[i] {
			return nil
		}
		*into, texts = string(texts[:n]), texts[n:]
	}
	if c.TxID%RecordedCommits != uint64(slot) || min(c.Waited, c.Ran, c.Took) < 0 || c.Written < 0 {
		return nil
	}
	return c
}

func slotSum(b []byte) uint32 {
	sum := crc32.Checksum([]byte(slotMagic), castagnoli)
	return crc32.Update(sum, castagnoli, b[4:])
}

// Commits returns the last transactions, up to RecordedCommits, that were committed to the
// database in the directory root, the oldest first. It neither waits for others
// nor keeps anybody waiting, and needs no database that can be opened. What was
// committed by programs of an earlier version is not there; in a copy of a
// store nothing may be.
func Commits(root string) ([]Commit, error) {
	f, _, err := openRegular(filepath.Join(root, LockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	ring, err := io.ReadAll(io.NewSectionReader(f, 0, RecordedCommits*slotSize))
	if err != nil {
		return nil, err
	}
	var commits []Commit
	slot := 0
	for b := range slices.Chunk(ring, slotSize) {
		if c := decodeCommit(b, slot); c != nil {
			commits = append(commits, *c)
		}
		slot++
	}
	slices.SortFunc(commits, func(a, b Commit) int { return cmp.Compare(a.TxID, b.TxID) })
	return commits, nil
}
