package compress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// numbers returns the lines that the files in testdata hold.
func numbers(from, to int) []byte {
	var text bytes.Buffer
	for i := range to - from + 1 {
		fmt.Fprintln(&text, from+i)
	}
	return text.Bytes()
}

// fixture returns the content of a file in testdata, and the format that its
// name promises.
func fixture(tb testing.TB, name string) ([]byte, model.Compression) {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	kinds := map[string]model.Compression{
		".gz": model.Gzip, ".bz2": model.Bzip2, ".xz": model.Xz, ".zst": model.Zstd,
	}
	return data, kinds[filepath.Ext(name)]
}

// good are the files in testdata that can be read.
var good = []string{
	"plain.gz", "members.gz", "empty.gz",
	"plain.bz2", "streams.bz2", "empty.bz2",
	"plain.xz", "none.xz", "crc32.xz", "sha256.xz", "blocks.xz", "streams.xz", "dictionary64.xz", "empty.xz",
	"plain.zst", "unchecked.zst", "sized.zst", "frames.zst", "window128.zst", "empty.zst",
}

// content returns what a good file holds.
func content(name string) []byte {
	if strings.HasPrefix(name, "empty") {
		return []byte{}
	}
	return numbers(1, 5000)
}

// readAll decompresses a stream of any format.
func readAll(r io.Reader) ([]byte, model.Compression, error) {
	rc, kind, err := compress.NewReader(r)
	if err != nil {
		return nil, kind, err
	}
	data, err := io.ReadAll(rc)
	return data, kind, errors.Join(err, rc.Close())
}

func TestReaderReadsWhatTheToolsWrite(t *testing.T) {
	for _, name := range good {
		t.Run(name, func(t *testing.T) {
			data, want := fixture(t, name)
			got, kind, err := readAll(bytes.NewReader(data))
			if err != nil || kind != want {
				t.Fatalf("kind %v, error %v; want %v", kind, err, want)
			}
			if !bytes.Equal(got, content(name)) {
				t.Errorf("read %d bytes that differ from the %d compressed", len(got), len(content(name)))
			}
		})
	}
}

func TestReaderDecidesOnlyWhenItHasReadEnough(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"one byte at a time":      iotest.OneByteReader,
		"end together with data":  iotest.DataErrReader,
		"half of what is wanted":  iotest.HalfReader,
		"now and then no byte":    func(r io.Reader) io.Reader { return &stutter{r: r} },
		"everything as requested": func(r io.Reader) io.Reader { return r },
	}
	for how, wrap := range readers {
		for _, name := range good {
			data, want := fixture(t, name)
			got, kind, err := readAll(wrap(bytes.NewReader(data)))
			if err != nil || kind != want || !bytes.Equal(got, content(name)) {
				t.Errorf("%s, %s: kind %v, %d bytes, error %v", how, name, kind, len(got), err)
			}
		}
	}
}

// stutter returns no bytes from every other Read.
type stutter struct {
	r   io.Reader
	odd bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.odd = !s.odd; s.odd {
		return 0, nil
	}
	return s.r.Read(p)
}

func TestReaderPassesOtherStreamsUnchanged(t *testing.T) {
	for _, text := range []string{
		"", "B", "BZ", "\x1f", "\x1f\x8b", "\xfd7zXZ", "\x28\xb5\x2f", "\x50\x2a\x4d", "\x60\x2a\x4d\x18....",
		"some text that is no archive", "\x1f\x8b\x07 unknown method", strings.Repeat("long ", 100_000),
	} {
		got, kind, err := readAll(strings.NewReader(text))
		if err != nil || kind != model.Uncompressed || string(got) != text {
			t.Errorf("%.20q: kind %v, %d bytes, error %v", text, kind, len(got), err)
		}
	}
}

func TestReaderReportsStreamsThatAreCutOff(t *testing.T) {
	for _, name := range good {
		t.Run(name, func(t *testing.T) {
			data, kind := fixture(t, name)
			want := content(name)
			for _, size := range cuts(name, len(data)) {
				got, err := readAllOf(data[:size], kind)
				if !bytes.HasPrefix(want, got) {
					t.Fatalf("cut off at %d: read what was not compressed", size)
				}
				if err == nil && endsBetweenParts(name, got) {
					continue
				}
				if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "unexpected EOF") {
					t.Fatalf("cut off at %d: error %v", size, err)
				}
			}
		})
	}
}

// readAllOf decompresses a stream that must have the given format.
func readAllOf(data []byte, kind model.Compression) ([]byte, error) {
	rc, err := compress.NewReaderOf(bytes.NewReader(data), kind)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(rc)
	return got, errors.Join(err, rc.Close())
}

func TestReaderReportsGzipHeadersThatAreCutOff(t *testing.T) {
	named := "\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\x03\x02\x00\xff\xffname\x00comment\x00" // and a header CRC to come
	plain, _ := fixture(t, "plain.gz")
	for size := range len(named) {
		if _, err := readAllOf([]byte(named[:size]), model.Gzip); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("first header cut off at %d: error %v", size, err)
		}
		if size == 0 {
			continue
		}
		got, err := readAllOf(append(bytes.Clone(plain), named[:size]...), model.Gzip)
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != len(content("plain.gz")) {
			t.Errorf("second header cut off at %d: %d bytes, error %v", size, len(got), err)
		}
	}
}

// endsBetweenParts tells whether a stream that is cut off is a whole stream
// too, because the file consists of several.
func endsBetweenParts(name string, got []byte) bool {
	switch name {
	case "members.gz", "streams.bz2":
		return bytes.Equal(got, numbers(1, 2000))
	case "streams.xz": // its streams are followed by padding
		return bytes.Equal(got, numbers(1, 2000)) || bytes.Equal(got, numbers(1, 5000))
	case "frames.zst":
		return len(got) == 0 || bytes.Equal(got, numbers(1, 2000)) || bytes.Equal(got, numbers(1, 5000))
	}
	return false
}

// cuts returns at which places to cut a file off: everywhere near the ends,
// where its structure is, and elsewhere at some.
func cuts(name string, size int) []int {
	step, ends := 97, 40
	switch {
	case name == "dictionary64.xz" || name == "window128.zst":
		step, ends = size/10, 0 // each attempt allocates the dictionary
	case filepath.Ext(name) == ".xz":
		step, ends = 401, 24 // allocates 8 MiB
	}
	var places []int
	for at := range size {
		if at%step == 0 || at < ends || at >= size-ends {
			places = append(places, at)
		}
	}
	return places
}

func TestReaderReportsDataBehindTheStream(t *testing.T) {
	for _, name := range good {
		for _, tail := range []string{"x", "garbage", "\x00", "\x00\x00\x00\x00", strings.Repeat("\x00", 512)} {
			data, kind := fixture(t, name)
			if kind == model.Xz && len(tail)%4 == 0 && tail[0] == 0 {
				continue // is padding
			}
			got, err := readAllOf(append(bytes.Clone(data), tail...), kind)
			if err == nil || !errors.Is(err, model.ErrInvalid) {
				t.Errorf("%s with %d bytes more: error %v", name, len(tail), err)
			}
			if !bytes.HasPrefix(content(name), got) {
				t.Errorf("%s with %d bytes more: read what was not compressed", name, len(tail))
			}
		}
	}
}

func TestReaderReportsDamage(t *testing.T) {
	for _, name := range good {
		if name == "none.xz" || name == "unchecked.zst" || name == "dictionary64.xz" || name == "window128.zst" {
			continue // without checksum, or slow
		}
		data, kind := fixture(t, name)
		for _, at := range cuts(name, len(data)) {
			damaged := bytes.Clone(data)
			damaged[at] ^= 0x10
			got, err := readAllOf(damaged, kind)
			switch {
			case err != nil && !errors.Is(err, model.ErrInvalid) && !errors.Is(err, model.ErrUnsupported):
				t.Fatalf("%s damaged at %d: error %v", name, at, err)
			case err == nil && !bytes.Equal(got, content(name)):
				t.Fatalf("%s damaged at %d: wrong content, no error", name, at)
			}
		}
	}
}

func TestReaderRefusesTextWithTheBeginningOfAFormat(t *testing.T) {
	for magic, kind := range map[string]model.Compression{
		"BZh": model.Bzip2, "\x1f\x8b\x08": model.Gzip, "\xfd7zXZ\x00": model.Xz, "\x28\xb5\x2f\xfd": model.Zstd,
	} {
		_, got, err := readAll(strings.NewReader(magic + "!" + strings.Repeat("this is text ", 1000)))
		var damage *compress.Error
		if !errors.As(err, &damage) || !errors.Is(err, model.ErrInvalid) || damage.Kind != kind || got != kind {
			t.Errorf("%v: kind %v, error %v", kind, got, err)
		}
	}
}

func TestReaderLimitsTheMemoryThatAStreamMayAskFor(t *testing.T) {
	for name, limit := range map[string]string{
		"dictionary96.xz": "64 MiB", "second96.xz": "64 MiB", "window256.zst": "128 MiB",
	} {
		data, _ := fixture(t, name)
		_, _, err := readAll(bytes.NewReader(data))
		if !errors.Is(err, model.ErrUnsupported) || errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), limit) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestReaderRefusesXzFiltersOtherThanLzma2(t *testing.T) {
	data, _ := fixture(t, "filter.xz")
	if _, _, err := readAll(bytes.NewReader(data)); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

func TestReaderPassesErrorsOfTheSourceThrough(t *testing.T) {
	causes := []error{errors.New("cable cut"), io.ErrUnexpectedEOF}
	for _, name := range append([]string{"plain"}, good...) {
		if name == "dictionary64.xz" || name == "window128.zst" {
			continue // slow
		}
		data := content(name)
		if name != "plain" {
			data, _ = fixture(t, name)
		}
		for _, size := range append(cuts(name, len(data)), len(data)) {
			broken := causes[size%len(causes)]
			_, _, err := readAll(io.MultiReader(bytes.NewReader(data[:size]), iotest.ErrReader(broken)))
			if diff := cmp.Diff(broken.Error(), fmt.Sprint(err)); diff != "" || errors.Is(err, model.ErrInvalid) {
				t.Fatalf("%s broken at %d: error %v, want %v", name, size, err, broken)
			}
		}
	}
}

func TestReaderTellsTheEndFromAnErrorThatWrapsIt(t *testing.T) {
	broken := fmt.Errorf("connection: %w", io.EOF)
	for _, name := range append([]string{"plain"}, good...) {
		data := content(name)
		if name != "plain" {
			data, _ = fixture(t, name)
		}
		for _, size := range []int{0, 3, len(data) / 2, len(data)} {
			_, _, err := readAll(io.MultiReader(bytes.NewReader(data[:min(size, len(data))]), iotest.ErrReader(broken)))
			if fmt.Sprint(err) != broken.Error() {
				t.Errorf("%s broken at %d: error %v", name, size, err)
			}
		}
	}
}

func TestReaderReadsTheSourceToItsEnd(t *testing.T) {
	for _, name := range good {
		data, _ := fixture(t, name)
		source := &counter{r: bytes.NewReader(data)}
		if _, _, err := readAll(source); err != nil {
			t.Fatal(err)
		}
		if source.n != len(data) || !source.ended {
			t.Errorf("%s: %d bytes of %d were read, end seen: %v", name, source.n, len(data), source.ended)
		}
	}
}

// counter counts the bytes that are read and notes the end.
type counter struct {
	r     io.Reader
	n     int
	ended bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	c.ended = c.ended || errors.Is(err, io.EOF)
	return n, err
}
