package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// Sizes of files on both sides of the one up to which a file is checked before
// any of it is written.
const (
	smallSize = 1000
	largeSize = 5<<20 + 3
)

func TestReplayReportsFilesThatHaveChanged(t *testing.T) {
	changes := map[string]func(t *testing.T, path string){
		"first byte flipped": func(t *testing.T, path string) { t.Helper(); flip(t, path, 0) },
		"last byte flipped":  func(t *testing.T, path string) { t.Helper(); flip(t, path, -1) },
		"truncated":          func(t *testing.T, path string) { t.Helper(); resize(t, path, -1) },
		"emptied":            func(t *testing.T, path string) { t.Helper(); resize(t, path, -largeSize) },
		"grown":              func(t *testing.T, path string) { t.Helper(); resize(t, path, +1) },
		"missing":            func(t *testing.T, path string) { t.Helper(); replace(t, path, func() error { return nil }) },
		"now a directory": func(t *testing.T, path string) {
			t.Helper()
			replace(t, path, func() error { return os.Mkdir(path, 0o700) })
		},
		"now a FIFO": func(t *testing.T, path string) {
			t.Helper()
			replace(t, path, func() error { return unix.Mkfifo(path, 0o600) })
		},
		"now a symbolic link": func(t *testing.T, path string) {
			t.Helper()
			replace(t, path, func() error { return os.Symlink("/etc/hostname", path) })
		},
		"now in a file": func(t *testing.T, path string) {
			t.Helper()
			replace(t, filepath.Dir(path), func() error { return os.WriteFile(filepath.Dir(path), nil, 0o600) })
		},
	}
	for how, change := range changes {
		for _, size := range []int{smallSize, largeSize} {
			t.Run(fmt.Sprintf("%s/%d", how, size), func(t *testing.T) {
				dir := t.TempDir()
				writeFile(t, filepath.Join(dir, "sub/file"), noise(size))
				stream := slices.Concat(makeArchive(t, tar.FormatPAX, file("sub/file", noise(size))), zeros(2))
				split := mustRecord(t, stream)
				change(t, filepath.Join(dir, "sub/file"))

				got, err := replay(t, split, directory(dir))
				if !errors.Is(err, model.ErrCorrupt) || !strings.Contains(fmt.Sprint(err), `file integrity checksum failed for "sub/file"`) {
					t.Errorf("error %v", err)
				}
				const header = 512
				switch {
				case size == smallSize && len(got) != header:
					t.Errorf("%d bytes of the file were written", len(got)-header)
				case len(got) >= header+size:
					t.Error("all of the file was written")
				}
			})
		}
	}
}

// flip changes a byte of a file; a negative place counts from the end.
func flip(t *testing.T, path string, at int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0); err != nil {
		t.Fatal(err)
	}
}

// resize makes a file longer or shorter.
func resize(t *testing.T, path string, by int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, max(0, info.Size()+by))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// replace removes a file and makes something else.
func replace(t *testing.T, path string, create func() error) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(path), create()); err != nil {
		t.Fatal(err)
	}
}

// refusing does not open files.
type refusing struct{ err error }

func (r refusing) Open(name string) (*os.File, error) {
	return nil, &fs.PathError{Op: "openat2", Path: name, Err: r.err}
}

func TestReplayTellsDamageFromWhatCannotBeOpened(t *testing.T) {
	split := mustRecord(t, makeArchive(t, tar.FormatPAX, file("a", "x")))
	for _, cause := range []error{
		unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EISDIR, unix.ENXIO, unix.EXDEV, unix.EINVAL, unix.ENAMETOOLONG,
		fs.ErrNotExist, model.ErrNotFound, model.ErrInvalid,
	} {
		if _, err := replay(t, split, refusing{cause}); !errors.Is(err, model.ErrCorrupt) || !errors.Is(err, cause) {
			t.Errorf("%v: error %v", cause, err)
		}
	}
	for _, cause := range []error{unix.EACCES, unix.EPERM, unix.EIO, unix.EMFILE, context.Canceled, errors.New("other")} {
		if _, err := replay(t, split, refusing{cause}); errors.Is(err, model.ErrCorrupt) || !errors.Is(err, cause) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%v: error %v", cause, err)
		}
	}
}

// shrinking opens files that are cut short as soon as they are open.
type shrinking struct{ directory }

func (s shrinking) Open(name string) (*os.File, error) {
	file, err := s.directory.Open(name)
	if err == nil {
		// The size is still right when it is asked for; the content is not
		// there because reading begins too far behind.
		_, err = file.Seek(10, io.SeekStart)
	}
	return file, err
}

func TestReplayReportsFilesThatShrinkWhileTheyAreRead(t *testing.T) {
	for _, size := range []int{smallSize, largeSize} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "a"), noise(size))
		split := mustRecord(t, makeArchive(t, tar.FormatPAX, file("a", noise(size))))
		if _, err := replay(t, split, shrinking{directory(dir)}); !errors.Is(err, model.ErrCorrupt) || !strings.Contains(fmt.Sprint(err), `"a"`) {
			t.Errorf("%d bytes: error %v", size, err)
		}
	}
}

func TestReplayStopsWhenTheContextEnds(t *testing.T) {
	stream := makeArchive(t, tar.FormatPAX, file("large", noise(largeSize)), file("next", ""))
	split := mustRecord(t, stream)
	ctx, cancel := context.WithCancel(t.Context())
	w := &cancelAt{left: 1 << 20, cancel: cancel}
	err := tarsplit.Replay(ctx, w, bytes.NewReader(split), unpack(stream))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if w.written > 2<<20 {
		t.Errorf("%d bytes were written after the context had ended", w.written)
	}
}

// cancelAt cancels a context when a number of bytes has been written.
type cancelAt struct {
	left, written int
	cancel        func()
}

func (c *cancelAt) Write(p []byte) (int, error) {
	if c.written += len(p); c.written > c.left {
		c.cancel()
	}
	return len(p), nil
}

func TestReplayPassesWriteErrorsUnchanged(t *testing.T) {
	stream := slices.Concat(makeArchive(t, tar.FormatPAX, file("large", noise(largeSize)), file("small", "s")), zeros(2))
	split := mustRecord(t, stream)
	for writes := range 8 {
		err := tarsplit.Replay(t.Context(), &fullDisk{left: writes}, bytes.NewReader(split), unpack(stream))
		if err != errFull { //nolint:errorlint // unchanged is the point
			t.Errorf("after %d writes: error %v", writes, err)
		}
	}
}

func TestReplayPassesReadErrorsUnchanged(t *testing.T) {
	split := mustRecord(t, makeArchive(t, tar.FormatPAX, file("a", ""), file("b", "")))
	broken := errors.New("cable cut")
	for size := range len(split) {
		r := io.MultiReader(bytes.NewReader(split[:size]), iotest.ErrReader(broken))
		if err := tarsplit.Replay(t.Context(), io.Discard, r, files{}); err != broken { //nolint:errorlint // unchanged is the point
			t.Fatalf("broken at %d: error %v", size, err)
		}
	}
}

func TestReplayReportsLinesThatMakeNoSense(t *testing.T) {
	const segment = `{"type":2,"payload":"eA==","position":0}` + "\n"
	for name, line := range map[string]string{
		"garbage":                   "garbage\n",
		"empty line":                "\n",
		"null":                      "null\n",
		"number":                    "17\n",
		"list":                      "[]\n",
		"two objects":               `{"type":2,"payload":"eA=="}{"type":2,"payload":"eA=="}` + "\n",
		"no type":                   `{"payload":"eA=="}` + "\n",
		"unknown type":              `{"type":3,"payload":"eA=="}` + "\n",
		"negative type":             `{"type":-1}` + "\n",
		"type of another kind":      `{"type":"2","payload":"eA=="}` + "\n",
		"payload not base64":        `{"type":2,"payload":"e","position":0}` + "\n",
		"payload with letters":      `{"type":2,"payload":"e***","position":0}` + "\n",
		"position not a number":     `{"type":2,"payload":"eA==","position":x}` + "\n",
		"no position":               `{"type":2,"payload":"eA==","position":}` + "\n",
		"more behind":               `{"type":2,"payload":"eA==","position":0}}` + "\n",
		"negative size":             `{"type":1,"name":"a","size":-1,"payload":"AAAAAAAAAAA=","position":0}` + "\n",
		"size beyond 63 bits":       `{"type":1,"name":"a","size":9223372036854775808,"payload":"AAAAAAAAAAA=","position":0}` + "\n",
		"size with a fraction":      `{"type":1,"name":"a","size":1.5,"payload":"AAAAAAAAAAA=","position":0}` + "\n",
		"no checksum":               `{"type":1,"name":"a","size":1,"payload":null,"position":0}` + "\n",
		"short checksum":            `{"type":1,"name":"a","size":1,"payload":"AAAA","position":0}` + "\n",
		"long checksum":             `{"type":1,"name":"a","size":1,"payload":"AAAAAAAAAAAAAAAA","position":0}` + "\n",
		"no end":                    strings.TrimSuffix(segment, "\n"),
		"a line of 9 MiB":           `{"type":2,"payload":"` + strings.Repeat("AAAA", 9<<18) + `","position":0}` + "\n",
		"a line of 9 MiB, no end":   strings.Repeat("{", 9<<20),
		"objects in objects for 1M": strings.Repeat(`{"type":`, 1<<17) + "\n",
	} {
		if err := readThroughLines(segment + line + segment); !errors.Is(err, model.ErrCorrupt) {
			t.Errorf("%s: Read: error %v", name, err)
		}
		got, err := replay(t, []byte(segment+line+segment), files{"a": []byte("x")})
		if !errors.Is(err, model.ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
		if string(got) != "x" {
			t.Errorf("%s: wrote %.20q", name, got)
		}
	}
}

// readThroughLines goes through the records of a tar-split.
func readThroughLines(split string) error {
	for _, err := range tarsplit.Read(strings.NewReader(split)) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestReplayReportsRecordsThatNoFileFits(t *testing.T) {
	for name, line := range map[string]string{
		"largest size":   `{"type":1,"name":"a","size":9223372036854775807,"payload":"IxAAAAAAAAA=","position":0}`,
		"wrong checksum": `{"type":1,"name":"a","size":1,"payload":"AAAAAAAAAAA=","position":0}`,
		"no name":        `{"type":1,"size":1,"payload":"IxAAAAAAAAA=","position":0}`,
		"other name":     `{"type":1,"name":"b","size":1,"payload":"IxAAAAAAAAA=","position":0}`,
	} {
		got, err := replay(t, []byte(line+"\n"), files{"a": []byte("x")})
		if !errors.Is(err, model.ErrCorrupt) || len(got) > 0 {
			t.Errorf("%s: wrote %q, error %v", name, got, err)
		}
	}
}

func TestReadTellsSegmentsOfNothingFromFiles(t *testing.T) {
	for _, payload := range []string{`""`, `null`} {
		for entry, err := range tarsplit.Read(strings.NewReader(`{"type":2,"payload":` + payload + `,"position":0}` + "\n")) {
			if err != nil || entry.IsFile() {
				t.Errorf("%s: %+v, %v", payload, entry, err)
			}
		}
	}
}

func TestReplayReadsWhatOtherWritersMayWrite(t *testing.T) {
	const sumOfX = "IxAAAAAAAAA=" // CRC-64/ISO 0x2310000000000000
	for name, line := range map[string]string{
		"other order":         `{"position":7,"payload":"eA==","type":2}`,
		"spaces":              `{ "type": 2, "payload": "eA==", "position": 0 }`,
		"unknown field":       `{"type":2,"payload":"eA==","position":0,"more":{"a":[1]}}`,
		"escapes":             `{"type":2,"payload":"\u0065A==","position":0}`,
		"no position":         `{"type":2,"payload":"eA=="}`,
		"segment of nothing":  `{"type":2,"payload":null,"position":0}` + "\n" + `{"type":2,"payload":"","position":0}` + "\n" + `{"type":2,"payload":"eA=="}`,
		"size 0 and checksum": `{"type":1,"name":"gone","payload":"AAAAAAAAAAA=","position":0}` + "\n" + `{"type":2,"payload":"eA=="}`,
		"raw name":            `{"type":1,"name_raw":"/w==","size":1,"payload":"` + sumOfX + `","position":0}`,
		"carriage return":     `{"type":2,"payload":"eA==","position":0}` + "\r",
	} {
		if got, err := replay(t, []byte(line+"\n"), files{"\xff": []byte("x")}); err != nil || string(got) != "x" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestReadTellsEverythingAboutFiles(t *testing.T) {
	stream := makeArchive(t, tar.FormatPAX, file("dir/a", "x"), file("\xff", ""), file(".wh.b", "payload"))
	var found []string
	segments := 0
	for entry, err := range tarsplit.Read(bytes.NewReader(mustRecord(t, stream))) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.IsFile() {
			found = append(found, fmt.Sprintf("%q %d %016x", entry.Name, entry.Size, entry.Checksum))
			continue
		}
		segments += len(entry.Segment)
	}
	want := []string{`"dir/a" 1 2310000000000000`, `"\xff" 0 0000000000000000`, `".wh.b" 0 0000000000000000`}
	if !slices.Equal(found, want) {
		t.Errorf("files %q, want %q", found, want)
	}
	if segments != len(stream)-1 {
		t.Errorf("%d bytes in segments, want all but one of %d", segments, len(stream))
	}
}

func TestReadCanBeStopped(t *testing.T) {
	split := mustRecord(t, makeArchive(t, tar.FormatPAX, file("a", "x"), file("b", "y")))
	count := 0
	for _, err := range tarsplit.Read(bytes.NewReader(split)) {
		if count++; err != nil || count == 2 {
			break
		}
	}
	if count != 2 {
		t.Errorf("%d records", count)
	}
}
