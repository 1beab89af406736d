package tarsplit_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/tarsplit"
)

// goTree returns the Go distribution as a tar stream, and its directory.
func goTree(b *testing.B) (stream []byte, dir string) {
	b.Helper()
	dir = testutil.GoTree(b)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close()); err != nil {
		b.Fatal(err)
	}
	return archive.Bytes(), dir
}

// readThrough reads all entries, as code that unpacks them does.
func readThrough(b *testing.B, r source) {
	b.Helper()
	buffer := make([]byte, 256<<10)
	for {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buffer)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// recordStored records a stream in the form in which tar-splits are stored.
func recordStored(b *testing.B, stream io.Reader) []byte {
	b.Helper()
	var split bytes.Buffer
	w, err := tarsplit.Compress(&split)
	if err != nil {
		b.Fatal(err)
	}
	readThrough(b, tarsplit.NewRecorder(stream, w))
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return split.Bytes()
}

// BenchmarkRecord records the Go distribution. The metric "x-tar" is the time it
// takes in relation to reading the archive alone.
func BenchmarkRecord(b *testing.B) {
	stream, _ := goTree(b)
	alone := fastest(func() {
		readThrough(b, tar.NewReader(bufio.NewReaderSize(bytes.NewReader(stream), 64<<10)))
	})
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		recordStored(b, bytes.NewReader(stream))
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/alone.Seconds(), "x-tar")
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

// BenchmarkReplay replays the Go distribution from its files.
func BenchmarkReplay(b *testing.B) {
	stream, dir := goTree(b)
	split := recordStored(b, bytes.NewReader(stream))
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		lines, err := tarsplit.Decompress(bytes.NewReader(split))
		if err == nil {
			err = tarsplit.Replay(b.Context(), io.Discard, lines, directory(dir))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead goes through the records alone.
func BenchmarkRead(b *testing.B) {
	stream, _ := goTree(b)
	split := recordStored(b, bytes.NewReader(stream))
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		lines, err := tarsplit.Decompress(bytes.NewReader(split))
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range tarsplit.Read(lines) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
