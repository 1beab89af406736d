package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os/exec"
	"testing"
	"testing/iotest"

	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// stored returns a tar-split in the form in which it is stored, of an archive
// of which it has all the content.
func stored(t *testing.T) (split, stream []byte) {
	t.Helper()
	stream = makeArchive(t, tar.FormatPAX, file("a", ""), file(".wh.b", noise(600)))
	var file bytes.Buffer
	w, err := tarsplit.Compress(&file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(mustRecord(t, stream)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), stream
}

// replayStored replays a stored tar-split.
func replayStored(t *testing.T, r io.Reader) ([]byte, error) {
	t.Helper()
	lines, err := tarsplit.Decompress(r)
	if err != nil {
		return nil, err
	}
	var stream bytes.Buffer
	err = tarsplit.Replay(t.Context(), &stream, lines, files{})
	return stream.Bytes(), errors.Join(err, lines.Close())
}

func TestStoredTarSplitIsReplayed(t *testing.T) {
	split, stream := stored(t)
	got, err := replayStored(t, bytes.NewReader(split))
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, stream)
}

func TestStoredTarSplitIsGzip(t *testing.T) {
	testutil.NeedTool(t, "gzip")
	split, stream := stored(t)
	unzip := exec.CommandContext(t.Context(), "gzip", "-d")
	unzip.Stdin = bytes.NewReader(split)
	lines, err := unzip.Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := replay(t, lines, files{})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, stream)
}

func TestStoredTarSplitThatIsCutOffIsCorrupt(t *testing.T) {
	split, _ := stored(t)
	for size := range split {
		if _, err := replayStored(t, bytes.NewReader(split[:size])); !errors.Is(err, model.ErrCorrupt) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, model.ErrInvalid) {
			t.Fatalf("cut off at %d: error %v", size, err)
		}
	}
}

func TestStoredTarSplitWithAFlippedBitIsCorrupt(t *testing.T) {
	split, stream := stored(t)
	harmless := 0
	for at := range split {
		damaged := bytes.Clone(split)
		damaged[at] ^= 1 << (at % 8)
		got, err := replayStored(t, bytes.NewReader(damaged))
		if err == nil && bytes.Equal(got, stream) {
			harmless++
			continue
		}
		if !errors.Is(err, model.ErrCorrupt) || errors.Is(err, model.ErrInvalid) {
			t.Fatalf("byte %d: error %v", at, err)
		}
	}
	// Time, system and some flags in the header mean nothing, nor do the lengths
	// of codes that do not occur and the last bits of the compressed data.
	if harmless > len(split)/50 {
		t.Errorf("%d bits of %d were flipped without notice", harmless, len(split))
	}
}

func TestStoredTarSplitMustBeCompressed(t *testing.T) {
	stream := makeArchive(t, tar.FormatPAX, file("a", ""))
	if _, err := replayStored(t, bytes.NewReader(mustRecord(t, stream))); !errors.Is(err, model.ErrCorrupt) || !errors.Is(err, gzip.ErrHeader) {
		t.Errorf("error %v", err)
	}
}

func TestStoredTarSplitPassesReadErrorsUnchanged(t *testing.T) {
	split, _ := stored(t)
	broken := errors.New("cable cut")
	for size := 0; size <= len(split); size += 10 {
		r := io.MultiReader(bytes.NewReader(split[:size]), iotest.ErrReader(broken))
		if _, err := replayStored(t, r); !errors.Is(err, broken) || errors.Is(err, model.ErrCorrupt) || err.Error() != broken.Error() {
			t.Fatalf("broken at %d: error %v", size, err)
		}
	}
}

func TestLinesThatAreCutOffBetweenTwoAreShorter(t *testing.T) {
	stream := makeArchive(t, tar.FormatPAX, file("a", ""), file("b", ""), file(".wh.c", noise(600)))
	split := mustRecord(t, stream)
	for size := range split {
		got, err := replay(t, split[:size], files{})
		if whole := size == 0 || split[size-1] == '\n'; whole != (err == nil) || err != nil && !errors.Is(err, model.ErrCorrupt) {
			t.Fatalf("cut off at %d: error %v", size, err)
		}
		if !bytes.HasPrefix(stream, got) {
			t.Fatalf("cut off at %d: wrote what was not recorded", size)
		}
	}
}
