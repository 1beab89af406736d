package tarsplit

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/csdb/csdb/model"
)

// Recorder reads an uncompressed tar archive like a *tar.Reader and records the
// stream while it is read.
//
// The content of ordinary files is not recorded, only its checksum: Replay
// takes it from the files. Where the unpacked file will not have exactly the
// bytes that stand in the stream they are recorded, so that every archive can
// be reproduced: sparse files, whose holes and maps the stream stores in one of
// several ways, whiteouts with content, and types other than regular files.
//
// An archive in which two entries denote the same file is refused, because the
// content of the first would be gone. The same can be brought about in ways
// that names do not show, say by unpacking over a file through a symbolic link
// to its directory; Replay then reports the file as damaged.
type Recorder struct {
	tar  *tar.Reader
	tape *tape
	out  *recordWriter
	err  error // of an earlier Next or Read; it stays

	names      names
	uids, gids owners

	// The file whose content is read and not recorded. Its size is 0 if there
	// is none.
	name string
	size int64
	sum  uint64
	skip []byte // for content that the caller does not read
}

// NewRecorder returns a Recorder that reads the stream r and writes the lines
// of the tar-split to w, each in a Write of its own. Compress makes a suitable
// w. The tar-split is whole when Next has returned io.EOF.
func NewRecorder(r io.Reader, w io.Writer) *Recorder {
	out := newRecordWriter(w)
	tape := newTape(r, out)
	return &Recorder{
		tar: tar.NewReader(tape), tape: tape, out: out,
		names: names{}, uids: owners{}, gids: owners{},
	}
}

// Next advances to the next entry of the archive, over what remains of the
// content of the current one. It returns io.EOF when the stream has been read
// to its end, which includes what stands behind the end of the archive. An
// empty stream is an empty archive.
//
// Errors of reading the stream come through unchanged, but for those that wrap
// io.EOF and become io.ErrUnexpectedEOF. Errors in the archive match
// model.ErrInvalid and the error of archive/tar, for instance tar.ErrHeader or
// io.ErrUnexpectedEOF; the second entry of a name is one of them.
func (r *Recorder) Next() (*tar.Header, error) {
	if r.err == nil {
		r.err = r.finishFile()
	}
	if r.err != nil {
		return nil, r.err
	}
	hdr, err := r.nextHeader()
	if err == nil {
		err = r.begin(hdr)
	}
	if err != nil {
		r.err = err
		return nil, err
	}
	return hdr, nil
}

// nextHeader reads the header of the next entry, or the stream to its end.
func (r *Recorder) nextHeader() (*tar.Header, error) {
	hdr, err := r.tar.Next()
	if errors.Is(err, tar.ErrInsecurePath) && hdr != nil {
		err = nil // GODEBUG=tarinsecurepath=0; whoever unpacks the entry confines it
	}
	if errors.Is(err, io.EOF) { // never of the stream, see tape
		_, err = io.Copy(io.Discard, r.tape)
		if err == nil {
			err = r.tape.flush()
		}
		if err == nil {
			return nil, io.EOF
		}
	}
	if err != nil {
		return nil, r.explain(err)
	}
	return hdr, nil
}

// begin records the entry that a header describes, except for the content.
func (r *Recorder) begin(hdr *tar.Header) error {
	if err := r.tape.flush(); err != nil {
		return err
	}
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil // not an entry, though archive/tar returns it as one
	}
	if !r.names.add(hdr.Name) {
		return fmt.Errorf("duplicates of file paths not supported: %q: %w", hdr.Name, model.ErrInvalid)
	}
	if !isWhiteout(hdr.Name) {
		r.uids.add(hdr.Uid)
		r.gids.add(hdr.Gid)
	}
	if !isReplayable(hdr) {
		return r.out.file(hdr.Name, 0, 0)
	}
	r.name, r.size, r.sum = hdr.Name, hdr.Size, 0
	r.tape.muted = true
	return nil
}

// isReplayable tells whether a file with exactly the bytes that follow the
// header in the stream will be found in the tree.
func isReplayable(hdr *tar.Header) bool {
	return hdr.Typeflag == tar.TypeReg && hdr.Size > 0 && !isSparse(hdr) && !isWithinWhiteout(hdr.Name)
}

// isSparse tells whether the stream may hold a sparse file's content in another
// form (https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html).
// The old GNU format has a type of its own.
func isSparse(hdr *tar.Header) bool {
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return hdr.Typeflag == tar.TypeGNUSparse
}

// Read reads the content of the current entry.
func (r *Recorder) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.tar.Read(p)
	if r.size > 0 {
		r.sum = checksum(r.sum, p[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = r.explain(err)
		return n, r.err
	}
	return n, err
}

// finishFile records the current file when all of its content has been read.
func (r *Recorder) finishFile() error {
	if r.size == 0 {
		return nil
	}
	if r.skip == nil {
		const size = 64 << 10
		r.skip = make([]byte, size)
	}
	for {
		_, err := r.Read(r.skip)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	r.tape.muted = false
	size := r.size
	r.size = 0
	return r.out.file(r.name, size, r.sum)
}

// explain tells an archive that is damaged from a stream that could not be
// read and a tar-split that could not be written.
func (r *Recorder) explain(err error) error {
	if r.tape.err != nil {
		return r.tape.err
	}
	return fmt.Errorf("tar archive, at byte %d: %w: %w", r.tape.offset, model.ErrInvalid, err)
}

// UIDs returns the users who own entries, sorted and without repetition.
// Whiteouts do not count, nor do IDs of more than 32 bits.
func (r *Recorder) UIDs() []uint32 { return r.uids.sorted() }

// GIDs returns the groups that own entries, in the way of UIDs.
func (r *Recorder) GIDs() []uint32 { return r.gids.sorted() }
