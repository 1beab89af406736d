package tarsplit

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/vbatts/tar-split/tar/storage"
)

// maxSegment is the greatest number of bytes of the stream in one record.
const maxSegment = 1 << 20

// recordWriter writes the lines of a tar-split.
type recordWriter struct {
	json     *json.Encoder
	position int
	entry    storage.Entry // kept here so that writing one allocates nothing
	sum      [8]byte
}

func newRecordWriter(w io.Writer) *recordWriter {
	return &recordWriter{json: json.NewEncoder(w)}
}

// segment writes bytes of the stream as they are.
func (w *recordWriter) segment(p []byte) error {
	w.entry = storage.Entry{Type: storage.SegmentType, Payload: p}
	return w.write()
}

// file writes that the content of a file stands here in the stream. A size of
// 0 says that nothing is to be inserted.
func (w *recordWriter) file(name string, size int64, sum uint64) error {
	w.entry = storage.Entry{Type: storage.FileType, Size: size}
	w.entry.SetName(name)
	if size > 0 {
		binary.BigEndian.PutUint64(w.sum[:], sum)
		w.entry.Payload = w.sum[:]
	}
	return w.write()
}

func (w *recordWriter) write() error {
	w.entry.Position = w.position
	w.position++
	if err := w.json.Encode(&w.entry); err != nil {
		return fmt.Errorf("write tar-split: %w", err)
	}
	return nil
}
