package pipeline_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// goTree returns the Go distribution as a tar stream.
func goTree(b *testing.B) []byte {
	b.Helper()
	var stream bytes.Buffer
	w := tar.NewWriter(&stream)
	if err := w.AddFS(os.DirFS(testutil.GoTree(b))); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return stream.Bytes()
}

// BenchmarkIngest reads the Go distribution through the chain. The metric
// "x-decoder" is the time it takes in relation to decompressing alone.
func BenchmarkIngest(b *testing.B) {
	tree := goTree(b)
	for _, kind := range kinds {
		b.Run(kind.String(), func(b *testing.B) {
			stream := compressed(b, kind, tree)
			buffer := make([]byte, 256<<10)
			alone := fastest(func() {
				r, _, err := compress.NewReader(bytes.NewReader(stream))
				if err != nil {
					b.Fatal(err)
				}
				readThrough(b, r, buffer)
			})
			b.SetBytes(int64(len(tree)))
			for b.Loop() {
				in, err := pipeline.NewIngest(b.Context(), bytes.NewReader(stream), 0)
				if err != nil {
					b.Fatal(err)
				}
				readThrough(b, in, buffer)
				if _, err := in.Diff(); err != nil {
					b.Fatal(err)
				}
			}
			if kind != model.Uncompressed {
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/alone.Seconds(), "x-decoder")
			}
		})
	}
}

// readThrough reads a stream to its end, as code that unpacks it does.
func readThrough(b *testing.B, r io.Reader, buffer []byte) {
	b.Helper()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buffer); err != nil {
		b.Fatal(err)
	}
}

// fastest returns the shortest of three times that something takes.
func fastest(run func()) time.Duration {
	best := time.Duration(1<<63 - 1)
	for range 3 {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	return best
}
