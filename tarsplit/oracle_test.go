package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"
)

// The package of tar-split that containers/storage uses is the oracle: what it
// records we replay, and what we record it replays.

// oracleRecord records an archive with it. It reads every byte of a sparse
// file, so that it is not asked about those with holes of terabytes.
func oracleRecord(stream []byte) (split []byte, err error) {
	if largestFile(stream) >= tooLarge {
		return nil, errors.ErrUnsupported
	}
	var lines bytes.Buffer
	r, done, err := asm.NewInputTarStreamWithDone(bytes.NewReader(stream), storage.NewJSONPacker(&lines), nil)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, r)
	return lines.Bytes(), errors.Join(err, <-done, r.Close())
}

// largestFile returns the size of the largest file in an archive.
func largestFile(stream []byte) (size int64) {
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		hdr, err := r.Next()
		if err != nil {
			return size
		}
		size = max(size, hdr.Size)
	}
}

// oracleReplay replays a tar-split with it.
func oracleReplay(split []byte, from files) ([]byte, error) {
	var stream bytes.Buffer
	err := asm.WriteOutputTarStream(oracleFiles(from), storage.NewJSONUnpacker(bytes.NewReader(split)), &stream)
	return stream.Bytes(), err
}

type oracleFiles files

func (f oracleFiles) Get(name string) (io.ReadCloser, error) { return files(f).Open(name) }

func TestTarSplitReplaysWhatIsRecordedHere(t *testing.T) {
	count := 0
	for name, stream := range allArchives(t) {
		if checkReader(stream) != nil {
			continue
		}
		count++
		got, err := oracleReplay(mustRecord(t, stream), unpack(stream))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Run(name, func(t *testing.T) { wantSame(t, got, stream) })
	}
	if count < 60 {
		t.Errorf("only %d archives were replayed", count)
	}
}

func TestWhatTarSplitRecordsIsReplayedHere(t *testing.T) {
	count := 0
	for name, stream := range allArchives(t) {
		split, err := oracleRecord(stream)
		if err != nil {
			continue
		}
		want, err := oracleReplay(split, unpack(stream))
		if err != nil {
			continue // it cannot replay this archive itself: a sparse one, or a link that claims a size
		}
		count++
		got, err := replay(t, split, unpack(stream))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Run(name, func(t *testing.T) { wantSame(t, got, want) })
	}
	if count < 50 {
		t.Errorf("only %d archives were replayed", count)
	}
}

func TestRecordsEqualThoseOfTarSplit(t *testing.T) {
	count := 0
	for name, stream := range allArchives(t) {
		theirs, err := oracleRecord(stream)
		if err != nil || checkReader(stream) != nil || hasSpecialContent(stream) {
			continue
		}
		if again, err := oracleReplay(theirs, unpack(stream)); err != nil || !bytes.Equal(again, stream) {
			continue // it loses the padding of an archive that is cut off within
		}
		count++
		want, got := records(t, theirs), records(t, mustRecord(t, stream))
		if !reflect.DeepEqual(want, got) { // much faster than cmp.Diff
			t.Errorf("%s: (-tar-split +csdb)\n%s", name, cmp.Diff(want, got))
		}
	}
	if count < 40 {
		t.Errorf("only %d archives were compared", count)
	}
}

// records decodes a tar-split. Segments in a row become one, because where they
// are divided is of no importance, and positions are checked.
func records(t *testing.T, split []byte) (all []storage.Entry) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(split))
	for position := 0; ; position++ {
		var e storage.Entry
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Position != position {
			t.Errorf("position %d at %d", e.Position, position)
		}
		e.Position = 0
		if last := len(all) - 1; last >= 0 && e.Type == storage.SegmentType && all[last].Type == storage.SegmentType {
			all[last].Payload = append(all[last].Payload, e.Payload...)
			continue
		}
		all = append(all, e)
	}
}

// hasSpecialContent tells whether an archive has entries that are recorded in
// another way than tar-split does: with their content as segments, or, for
// global headers, not as files.
func hasSpecialContent(stream []byte) bool {
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		hdr, err := r.Next()
		if err != nil {
			return false
		}
		for key := range hdr.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return true
			}
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader || hdr.Size > 0 && (hdr.Typeflag != tar.TypeReg || strings.Contains(hdr.Name, ".wh.")) {
			return true
		}
	}
}
