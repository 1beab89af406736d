package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/tarsplit"
)

// tooLarge is the size in bytes from which on the content of sparse entries is
// left alone by the tests.
const tooLarge = 16 << 20

// files are what an archive has been unpacked to.
type files map[string][]byte

// Open returns an anonymous file with the content.
func (f files) Open(name string) (*os.File, error) {
	content, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("open %q: %w", name, fs.ErrNotExist)
	}
	fd, err := unix.MemfdCreate("content", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.Write(content); err != nil {
		return nil, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// unpack returns the regular files in an archive as they are found when it has
// been unpacked: without whiteouts, and with sparse files expanded.
func unpack(archive []byte) files {
	found := files{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		hdr, err := r.Next()
		if err != nil {
			return found
		}
		if hdr.Typeflag == tar.TypeReg && hdr.Size < tooLarge && !bytes.Contains([]byte("/"+hdr.Name), []byte("/.wh.")) {
			found[hdr.Name], _ = io.ReadAll(r)
		}
	}
}

// record records a stream whose entries are read by consume.
func record(r io.Reader, consume func(hdr *tar.Header, r io.Reader) error) (split []byte, recorder *tarsplit.Recorder, err error) {
	var lines bytes.Buffer
	recorder = tarsplit.NewRecorder(r, &lines)
	for {
		hdr, err := recorder.Next()
		if errors.Is(err, io.EOF) {
			return lines.Bytes(), recorder, nil
		}
		if err == nil {
			err = consume(hdr, recorder)
		}
		if err != nil {
			return lines.Bytes(), recorder, err
		}
	}
}

// readContent reads an entry as code that unpacks it does.
func readContent(hdr *tar.Header, r io.Reader) error {
	if hdr.Size >= tooLarge {
		return nil
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// skipContent reads nothing of an entry.
func skipContent(*tar.Header, io.Reader) error { return nil }

// readHalf reads the first half of an entry, and most of it byte by byte.
func readHalf(hdr *tar.Header, r io.Reader) error {
	for range min(hdr.Size/2, 1000) {
		if _, err := r.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// mustRecord records an archive that there is nothing wrong with.
func mustRecord(tb testing.TB, archive []byte) (split []byte) {
	tb.Helper()
	split, _, err := record(bytes.NewReader(archive), readContent)
	if err != nil {
		tb.Fatal(err)
	}
	return split
}

// replay returns the stream that a tar-split gives.
func replay(tb testing.TB, split []byte, from tarsplit.Opener) ([]byte, error) {
	tb.Helper()
	var stream bytes.Buffer
	err := tarsplit.Replay(tb.Context(), &stream, bytes.NewReader(split), from)
	return stream.Bytes(), err
}

// wantSame reports how two streams differ.
func wantSame(tb testing.TB, got, want []byte) {
	tb.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	tb.Errorf("streams differ at byte %d; lengths %d, want %d", at, len(got), len(want))
}
