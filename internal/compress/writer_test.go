package compress_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

var writable = []model.Compression{model.Uncompressed, model.Gzip, model.Zstd}

// write compresses data, in pieces of the given sizes and then the rest.
func write(tb testing.TB, kind model.Compression, data []byte, sizes ...int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := compress.NewWriter(&out, kind)
	if err != nil {
		tb.Fatal(err)
	}
	for _, size := range append(sizes, len(data)) {
		n, err := w.Write(data[:min(size, len(data))])
		if err != nil {
			tb.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestReaderReadsWhatWriterWrites(t *testing.T) {
	large := bytes.Repeat(numbers(1, 5000), 30) // several blocks
	rapid.Check(t, func(rt *rapid.T) {
		data := large[:rapid.IntRange(0, len(large)).Draw(rt, "size")]
		kind := rapid.SampledFrom(writable).Draw(rt, "kind")
		sizes := rapid.SliceOfN(rapid.IntRange(0, 300_000), 0, 4).Draw(rt, "pieces")
		stream := write(t, kind, data, sizes...)
		got, found, err := readAll(bytes.NewReader(stream))
		if err != nil || found != kind || !bytes.Equal(got, data) {
			rt.Errorf("%v: read %d bytes of %d as %v, %v", kind, len(got), len(data), found, err)
		}
		if !bytes.Equal(write(t, kind, data), stream) {
			rt.Errorf("%v: the same content gives other bytes", kind)
		}
	})
}

func TestToolsReadWhatWriterWrites(t *testing.T) {
	for _, data := range [][]byte{{}, numbers(1, 10), bytes.Repeat(numbers(1, 5000), 40)} {
		for kind, tool := range map[model.Compression]string{model.Gzip: "gzip", model.Zstd: "zstd"} {
			t.Run(tool, func(t *testing.T) {
				testutil.NeedTool(t, tool)
				cmd := exec.CommandContext(t.Context(), tool, "-d")
				cmd.Stdin = bytes.NewReader(write(t, kind, data))
				got, err := cmd.Output()
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s: read %d bytes of %d, %v", tool, len(got), len(data), err)
				}
			})
		}
	}
}

func TestWriterRefusesFormatsThatCanOnlyBeRead(t *testing.T) {
	for _, kind := range []model.Compression{model.Bzip2, model.Xz, 17} {
		if _, err := compress.NewWriter(io.Discard, kind); !errors.Is(err, model.ErrUnsupported) || !strings.Contains(err.Error(), kind.String()) {
			t.Errorf("%v: error %v", kind, err)
		}
		if err := compress.Writable(kind); !errors.Is(err, model.ErrUnsupported) {
			t.Errorf("Writable(%v): %v", kind, err)
		}
	}
	for _, kind := range writable {
		if err := compress.Writable(kind); err != nil {
			t.Errorf("Writable(%v): %v", kind, err)
		}
	}
}

// full is a writer that takes a number of bytes before it fails.
type full struct{ left int }

var errFull = errors.New("no space")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterReportsErrorsOfWhatItWritesTo(t *testing.T) {
	data := numbers(1, 200_000)
	for _, kind := range writable {
		size := len(write(t, kind, data))
		for _, left := range []int{0, 10, size / 2, size - 1} {
			w, err := compress.NewWriter(&full{left}, kind)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write(data)
			if err := errors.Join(err, w.Close()); !errors.Is(err, errFull) {
				t.Errorf("%v, full after %d of %d bytes: error %v", kind, left, size, err)
			}
		}
	}
}
