package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// FuzzRecordReplay records whatever archive/tar accepts and replays it from the
// content that a consumer has read. Checksums of headers are mended, which chance
// would hardly ever get right.
func FuzzRecordReplay(f *testing.F) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		entries := []entry{
			file("a", "text"), file("d/.wh.b", "whiteout"),
			{tar.Header{Typeflag: tar.TypeSymlink, Name: "s", Linkname: "a"}, ""},
		}
		if format != tar.FormatUSTAR {
			entries = append(entries, file(strings.Repeat("n", 120), "long name"))
		}
		f.Add(append(makeArchive(f, format, entries...), zeros(3)...), uint16(100))
	}
	for _, stream := range fixtures(f, "", filepath.Join(testutil.GoTree(f), "src/archive/tar/testdata")) {
		if len(stream) < 10_000 {
			f.Add(stream, uint16(0))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, most uint16) {
		stream = mend(bytes.Clone(stream))
		content := files{}
		split, _, err := record(bytes.NewReader(stream), func(hdr *tar.Header, r io.Reader) error {
			if hdr.Typeflag != tar.TypeReg || hdr.Size > tooLarge {
				_, err := io.CopyN(io.Discard, r, int64(most))
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return err
			}
			var err error
			content[hdr.Name], err = io.ReadAll(r)
			return err
		})
		if err != nil {
			if !errors.Is(err, model.ErrInvalid) {
				t.Errorf("error %v", err)
			}
			return
		}
		got, err := replay(t, split, content)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, got, stream)
		theirs, err := oracleReplay(split, content)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, theirs, stream)
	})
}

// mend gives the blocks that are headers in a stream, if it is roughly an
// archive, the right checksums.
func mend(stream []byte) []byte {
	for rest := stream; len(rest) >= 512; {
		header := rest[:512]
		rest = rest[512:]
		if bytes.Equal(header, zeros(1)) {
			continue
		}
		withChecksum(header)
		size, err := strconv.ParseInt(strings.Trim(string(header[124:136]), " \x00"), 8, 32)
		if err == nil && size > 0 {
			rest = rest[min(len(rest), int(size+511)/512*512):]
		}
	}
	return stream
}

// FuzzReplay replays anything: it must neither panic nor write more than the
// tar-split and the files hold. Where the package tar-split makes a stream of
// it, this one makes the same or finds damage.
func FuzzReplay(f *testing.F) {
	stream := makeArchive(f, tar.FormatPAX, file("a", "x"), file("b", ""), file("\xff", "y"))
	f.Add(mustRecord(f, stream))
	f.Add([]byte(`{"type":2,"payload":"eA==","position":0}` + "\n"))
	f.Add([]byte(`{"type":1,"name":"a","size":1,"payload":"IxAAAAAAAAA=","position":0}` + "\n"))
	f.Add([]byte(`{"type":1,"name":"a","size":-1,"payload":null}` + "\n{}\nnull\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, split []byte) {
		content := files{"a": []byte("x"), "\xff": []byte("y")}
		got, err := replay(t, split, content)
		if len(got) > len(split) {
			t.Errorf("%d bytes out of %d", len(got), len(split))
		}
		if err != nil {
			if !errors.Is(err, model.ErrCorrupt) {
				t.Errorf("error %v", err)
			}
			return
		}
		if theirs, err := oracleReplay(split, content); err == nil {
			wantSame(t, got, theirs)
		}
		for _, err := range tarsplit.Read(bytes.NewReader(split)) {
			if err != nil {
				t.Errorf("Read: %v", err)
			}
		}
	})
}
