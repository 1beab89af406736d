package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
)

// compressed returns data in one of the formats that can be written.
func compressed(tb testing.TB, kind model.Compression, data []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := compress.NewWriter(&out, kind)
	if err == nil {
		_, err = w.Write(data)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

var kinds = []model.Compression{model.Uncompressed, model.Gzip, model.Zstd}

func TestIngestMeasuresBothForms(t *testing.T) {
	checkGoroutines(t)
	for _, kind := range kinds {
		for _, size := range []int{0, 1, 5, 100_000, 3 << 20} {
			data := bytes.Repeat(noise(size/4+1), 4)[:size]
			stream := compressed(t, kind, data)
			in, err := pipeline.NewIngest(t.Context(), iotest.OneByteReader(bytes.NewReader(stream)), 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%v, %d bytes: read %d, %v", kind, size, len(got), err)
			}
			diff, err := in.Diff()
			if err != nil {
				t.Fatal(err)
			}
			want := model.Diff{
				Compression:      kind,
				CompressedDigest: digest.FromBytes(stream), CompressedSize: int64(len(stream)),
				Digest: digest.FromBytes(data), Size: int64(size),
			}
			if changed := cmp.Diff(want, diff); changed != "" {
				t.Errorf("%v, %d bytes: (-want +got)\n%s", kind, size, changed)
			}
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestIngestHasNoResultBeforeTheEnd(t *testing.T) {
	checkGoroutines(t)
	for _, kind := range kinds {
		in, err := pipeline.NewIngest(t.Context(), bytes.NewReader(compressed(t, kind, noise(1000))), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(in, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Diff(); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%v: error %v", kind, err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestIngestRefusesStreamsLargerThanTheLimit(t *testing.T) {
	checkGoroutines(t)
	const limit = 2 << 20
	for _, kind := range kinds {
		for size, want := range map[int]bool{limit - 1: true, limit: true, limit + 1: false, 10 * limit: false} {
			in, err := pipeline.NewIngest(t.Context(), bytes.NewReader(compressed(t, kind, make([]byte, size))), limit)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(in)
			if (err == nil) != want || len(got) > limit {
				t.Errorf("%v, %d bytes: read %d, %v", kind, size, len(got), err)
			}
			if err != nil && (!errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "2097152")) {
				t.Errorf("%v, %d bytes: error %v", kind, size, err)
			}
			if _, err := in.Diff(); (err == nil) != want {
				t.Errorf("%v, %d bytes: Diff: %v", kind, size, err)
			}
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestIngestReportsDamage(t *testing.T) {
	checkGoroutines(t)
	for _, kind := range []model.Compression{model.Gzip, model.Zstd} {
		stream := compressed(t, kind, noise(300_000))
		for _, size := range []int{12, 1000, len(stream) - 1} {
			if err := ingestAll(t.Context(), bytes.NewReader(stream[:size])); !errors.Is(err, model.ErrInvalid) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v, cut off at %d: error %v", kind, size, err)
			}
		}
		damaged := bytes.Clone(stream)
		damaged[len(damaged)-6] ^= 1
		if err := ingestAll(t.Context(), bytes.NewReader(damaged)); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%v, damaged: error %v", kind, err)
		}
		if err := ingestAll(t.Context(), bytes.NewReader(stream[:4])); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%v, only a beginning: error %v", kind, err)
		}
	}
}

// ingestAll reads a stream to its end.
func ingestAll(ctx context.Context, r io.Reader) error {
	in, err := pipeline.NewIngest(ctx, r, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, in.Close())
}

func TestIngestPassesReadErrors(t *testing.T) {
	checkGoroutines(t)
	broken := errors.New("cable cut")
	for _, kind := range kinds {
		stream := compressed(t, kind, noise(100_000))
		for size := 0; size <= len(stream); size += 10_000 {
			r := io.MultiReader(bytes.NewReader(stream[:size]), iotest.ErrReader(broken))
			if err := ingestAll(t.Context(), r); !errors.Is(err, broken) || errors.Is(err, model.ErrInvalid) {
				t.Errorf("%v, broken at %d: error %v", kind, size, err)
			}
		}
	}
}

func TestIngestCanBeClosedAtAnyTime(t *testing.T) {
	checkGoroutines(t)
	for _, kind := range kinds {
		stream := compressed(t, kind, noise(8<<20))
		for _, read := range []int{0, 1, 1 << 20, 5 << 20} {
			in, err := pipeline.NewIngest(t.Context(), bytes.NewReader(stream), 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(in, make([]byte, read)); err != nil {
				t.Fatal(err)
			}
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestIngestEndsWithItsContext(t *testing.T) {
	checkGoroutines(t)
	for _, kind := range kinds {
		ctx, cancel := context.WithCancel(t.Context())
		source := blocked{make(chan struct{})}
		stream := compressed(t, kind, noise(3<<20))
		in, err := pipeline.NewIngest(ctx, io.MultiReader(bytes.NewReader(stream[:2<<20]), source), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(in, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.Copy(io.Discard, in); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: error %v", kind, err)
		}
		if err := in.Close(); err != nil { // does not wait for the source
			t.Error(err)
		}
		close(source.release)
	}
}

func TestIngestWaitsForTheFirstBytesUnderItsContext(t *testing.T) {
	checkGoroutines(t)
	ctx, cancel := context.WithCancel(t.Context())
	source := blocked{make(chan struct{})}
	defer close(source.release)
	go cancel()
	if _, err := pipeline.NewIngest(ctx, source, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
