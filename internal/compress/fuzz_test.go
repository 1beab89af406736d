package compress_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	kgzip "github.com/klauspost/compress/gzip"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/model"
)

// FuzzDecompress reads anything. It must not panic, errors must belong to a
// class, the result may not depend on how much the source gives at a time, and
// of gzip it must be that of the standard library.
func FuzzDecompress(f *testing.F) {
	for _, name := range good {
		if data, _ := fixture(f, name); len(data) < 3000 {
			f.Add(data)
		}
	}
	for _, kind := range writable {
		f.Add(write(f, kind, numbers(1, 50)))
		f.Add(append(write(f, kind, numbers(1, 5)), write(f, kind, numbers(6, 10))...))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, kind, err := readSome(bytes.NewReader(data))
		if err != nil && !errors.Is(err, model.ErrInvalid) && !errors.Is(err, model.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
		if kind == model.Uncompressed && (err != nil || !bytes.Equal(got, data[:min(len(data), most)])) {
			t.Errorf("plain stream changed, error %v", err)
		}
		if len(data) < 4000 {
			slowly, _, slowErr := readSome(iotest.OneByteReader(bytes.NewReader(data)))
			if !bytes.Equal(slowly, got) || (slowErr == nil) != (err == nil) {
				t.Errorf("byte by byte: %d bytes instead of %d, error %v instead of %v", len(slowly), len(got), slowErr, err)
			}
		}
		if kind == model.Gzip {
			compareGzip(t, data, got, err)
		}
	})
}

// most is how much of a stream is read.
const most = 4 << 20

func readSome(r io.Reader) ([]byte, model.Compression, error) {
	rc, kind, err := compress.NewReader(r)
	if err != nil {
		return nil, kind, err
	}
	data, err := io.ReadAll(io.LimitReader(rc, most))
	return data, kind, errors.Join(err, rc.Close())
}

// compareGzip compares with the standard library's decoder, which lets headers
// pass that have reserved bits set.
func compareGzip(t *testing.T, data, got []byte, gotErr error) {
	t.Helper()
	if errors.Is(gotErr, kgzip.ErrHeader) {
		return
	}
	var want []byte
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		want, err = io.ReadAll(io.LimitReader(r, most))
	}
	if (err == nil) != (gotErr == nil) || err == nil && !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, error %v; the standard library reads %d, %v", len(got), gotErr, len(want), err)
	}
}
