package tarsplit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"iter"

	"github.com/vbatts/tar-split/tar/storage"

	"github.com/csdb/csdb/model"
)

// Entry is a record of a tar-split: bytes that stand in the stream as they are,
// or the place of an archive entry, into which the content of a file is to be
// inserted.
type Entry struct {
	// Segment holds bytes of the stream. It is nil if the record is a file's,
	// and valid until the next record is read.
	Segment []byte

	// Name is the name of an archive entry of any type, as it stands in its
	// header.
	Name string
	// Size is the number of bytes of the file's content to insert. It is 0 for
	// everything but regular files, and for files whose content is recorded in
	// segments.
	Size int64
	// Checksum is the CRC-64 of the content with the polynomial of ISO 3309.
	Checksum uint64
}

// IsFile tells whether the record is a file's.
func (e Entry) IsFile() bool { return e.Segment == nil }

// maxLine is the greatest length of a line in bytes. Another program's record
// of one header may hold three extension headers of 1 MiB each, in base64.
const maxLine = 8 << 20

// Read goes through the records of a tar-split, which split holds as lines of
// JSON. An error ends it. Damage gives an error that matches model.ErrCorrupt;
// errors of reading split come through unchanged.
func Read(split io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		lines := bufio.NewScanner(split)
		lines.Buffer(make([]byte, 64<<10), maxLine)
		lines.Split(wholeLines)
		number := 0
		var p parser
		for lines.Scan() {
			number++
			entry, err := p.parse(lines.Bytes())
			if err != nil {
				yield(Entry{}, corrupt(number, err))
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, errCutOff), errors.Is(err, bufio.ErrTooLong):
			yield(Entry{}, corrupt(number+1, err))
		case err != nil:
			yield(Entry{}, err)
		}
	}
}

// corrupt names the place of damage in a tar-split.
func corrupt(line int, err error) error {
	return fmt.Errorf("tar-split, line %d: %w: %w", line, model.ErrCorrupt, err)
}

// errCutOff says that the last line is incomplete.
var errCutOff = errors.New("line without end")

// wholeLines is a bufio.SplitFunc like bufio.ScanLines, but for a last line
// that does not end.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errCutOff
	}
	return 0, nil, nil
}

// parser decodes lines.
type parser struct{ segment []byte }

func (p *parser) parse(line []byte) (Entry, error) {
	if p.parseSegment(line) {
		return Entry{Segment: p.segment}, nil
	}
	var raw storage.Entry
	if err := json.Unmarshal(line, &raw); err != nil {
		return Entry{}, err
	}
	switch raw.Type {
	case storage.SegmentType:
		return Entry{Segment: append([]byte{}, raw.Payload...)}, nil // never nil
	case storage.FileType:
		return parseFile(&raw)
	}
	return Entry{}, fmt.Errorf("unknown type %d", raw.Type)
}

// parseSegment decodes a segment in exactly the form in which all programs
// write them, and returns false if the line is anything else. It spares half of
// the time that a replay of small files takes.
func (p *parser) parseSegment(line []byte) bool {
	payload, ok := bytes.CutPrefix(line, []byte(`{"type":2,"payload":"`))
	if !ok {
		return false
	}
	payload, position, _ := bytes.Cut(payload, []byte(`","position":`))
	digits, ok := bytes.CutSuffix(position, []byte("}"))
	if !ok || len(digits) == 0 || len(bytes.Trim(digits, "0123456789")) > 0 {
		return false
	}
	var err error
	p.segment, err = base64.StdEncoding.AppendDecode(p.segment[:0], payload)
	return err == nil && len(p.segment) > 0
}

func parseFile(raw *storage.Entry) (Entry, error) {
	entry := Entry{Name: raw.GetName(), Size: raw.Size}
	switch {
	case raw.Size < 0:
		return Entry{}, fmt.Errorf("%q: negative size %d", entry.Name, raw.Size)
	case raw.Size == 0:
		return entry, nil
	case len(raw.Payload) != crc64.Size:
		return Entry{}, fmt.Errorf("%q: checksum of %d bytes", entry.Name, len(raw.Payload))
	}
	entry.Checksum = binary.BigEndian.Uint64(raw.Payload)
	return entry, nil
}
