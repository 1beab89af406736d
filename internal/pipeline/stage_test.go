package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/csdb/csdb/internal/pipeline"
)

// noise returns data that is not the same everywhere.
func noise(size int) []byte {
	data := make([]byte, size)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(data)
	return data
}

// endless is a source that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// blocked is a source that gives nothing until it is released.
type blocked struct{ release chan struct{} }

func (b blocked) Read([]byte) (int, error) {
	<-b.release
	return 0, io.EOF
}

// checkGoroutines fails the test if goroutines that it has started are left at
// its end.
func checkGoroutines(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 6000 { // a minute: only what never ends takes so long
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
	})
}

func TestReadaheadPassesTheStream(t *testing.T) {
	checkGoroutines(t)
	for _, size := range []int{0, 1, 1000, 256 << 10, 256<<10 + 1, 3 << 20} {
		data := noise(size)
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"as requested":           func(r io.Reader) io.Reader { return r },
			"half of it":             iotest.HalfReader,
			"end together with data": iotest.DataErrReader,
		} {
			r := pipeline.Readahead(t.Context(), wrap(bytes.NewReader(data)))
			if err := iotest.TestReader(r, data); err != nil {
				t.Errorf("%d bytes, %s: %v", size, how, err)
			}
			var written bytes.Buffer
			r = pipeline.Readahead(t.Context(), wrap(bytes.NewReader(data)))
			if n, err := r.WriteTo(&written); err != nil || n != int64(size) || !bytes.Equal(written.Bytes(), data) {
				t.Errorf("%d bytes, %s: WriteTo wrote %d, %v", size, how, n, err)
			}
		}
	}
}

func TestStagePassesWhateverIsWrittenInWhateverPieces(t *testing.T) {
	checkGoroutines(t)
	data := noise(2 << 20)
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.IntRange(0, 400<<10)).Draw(t, "written")
		reads := rapid.SliceOfN(rapid.IntRange(1, 300<<10), 1, 5).Draw(t, "read")
		written := 0
		r := pipeline.Start(context.Background(), func(_ context.Context, w io.Writer) error {
			for _, size := range pieces {
				n, err := w.Write(data[written:min(len(data), written+size)])
				written += n
				if err != nil {
					return err
				}
			}
			return nil
		})
		var got []byte
		for i := 0; ; i++ {
			p := make([]byte, reads[i%len(reads)])
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, data[:written]) {
			t.Errorf("read %d bytes, %d were written", len(got), written)
		}
	})
}

func TestErrorsArriveBehindTheDataBeforeThem(t *testing.T) {
	checkGoroutines(t)
	broken := errors.New("cable cut")
	for _, size := range []int{0, 10, 256 << 10, 2<<20 + 1} {
		data := noise(size)
		ahead := pipeline.Readahead(t.Context(), io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)))
		started := pipeline.Start(t.Context(), func(_ context.Context, w io.Writer) error {
			_, err := w.Write(data)
			return errors.Join(err, broken)
		})
		for _, r := range []io.Reader{ahead, started} {
			got, err := io.ReadAll(r)
			if !errors.Is(err, broken) || !bytes.Equal(got, data) {
				t.Errorf("%d bytes: read %d, %v", size, len(got), err)
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, broken) {
				t.Errorf("%d bytes: then %v", size, err)
			}
		}
	}
}

func TestStageThatReturnsEOFHasNotEnded(t *testing.T) {
	for _, end := range []error{io.EOF, fmt.Errorf("connection: %w", io.EOF)} {
		r := pipeline.Start(t.Context(), func(context.Context, io.Writer) error { return end })
		_, err := io.ReadAll(r)
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), end.Error()) {
			t.Errorf("error %v", err)
		}
	}
}

func TestReadaheadTellsTheEndFromAnErrorThatWrapsIt(t *testing.T) {
	r := pipeline.Readahead(t.Context(), iotest.ErrReader(fmt.Errorf("connection: %w", io.EOF)))
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "connection") {
		t.Errorf("error %v", err)
	}
}

func TestCloseStopsAStageThatNeverEnds(t *testing.T) {
	checkGoroutines(t)
	for _, read := range []int{0, 1, 3 << 20} {
		r := pipeline.Readahead(t.Context(), endless{})
		if _, err := io.ReadFull(r, make([]byte, read)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("read after Close: %v", err)
		}
	}
}

func TestReadsAfterCloseFailWhateverIsBuffered(t *testing.T) {
	checkGoroutines(t)
	for range 50 {
		written := make(chan struct{})
		r := pipeline.Start(t.Context(), func(_ context.Context, w io.Writer) error {
			defer close(written)
			_, err := w.Write(make([]byte, 1<<20))
			return err
		})
		<-written
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("read %d, %v", n, err)
		}
	}
}

func TestCloseWaitsForTheStage(t *testing.T) {
	checkGoroutines(t)
	ended, end := context.WithCancel(t.Context())
	end()
	for _, ctx := range []context.Context{t.Context(), ended} {
		returned := false
		r := pipeline.Start(ctx, func(ctx context.Context, _ io.Writer) error {
			<-ctx.Done()
			time.Sleep(50 * time.Millisecond)
			returned = true
			return ctx.Err()
		})
		if err := r.Close(); err != nil || !returned {
			t.Errorf("Close: %v, stage has returned: %v", err, returned)
		}
	}
}

func TestCloseWhileAnotherGoroutineReads(t *testing.T) {
	checkGoroutines(t)
	source := blocked{make(chan struct{})}
	r := pipeline.Readahead(t.Context(), source)
	failed := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 1))
		close(source.release) // lets Close return
		failed <- err
	}()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, io.EOF) {
		t.Errorf("Read: %v", err)
	}
}

func TestContextEndsReadsEvenIfTheSourceIsBlocked(t *testing.T) {
	checkGoroutines(t)
	source := blocked{make(chan struct{})}
	defer close(source.release)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := pipeline.Readahead(ctx, source)
	go cancel(reason)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, reason) {
		t.Errorf("Read: %v", err)
	}
	if err := r.Close(); err != nil { // does not wait either
		t.Error(err)
	}
}

func TestContextEndsTheStage(t *testing.T) {
	checkGoroutines(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	pipeline.Start(ctx, func(_ context.Context, w io.Writer) error {
		_, err := io.Copy(w, endless{})
		ended <- err
		return err
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stage's writer: %v", err)
	}
}

func TestStageWritesAtMostAMebibyteAhead(t *testing.T) {
	checkGoroutines(t)
	const step, limit = 1 << 10, 1 << 20
	var written atomic.Int64
	r := pipeline.Start(t.Context(), func(_ context.Context, w io.Writer) error {
		for {
			if _, err := w.Write(make([]byte, step)); err != nil {
				return err
			}
			written.Add(step)
		}
	})
	var read int64
	for range 500 {
		n, err := io.ReadFull(r, make([]byte, 10_000))
		read += int64(n)
		if ahead := written.Load() - read; err != nil || ahead > limit {
			t.Fatalf("%d bytes ahead, %v", ahead, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestWriteToReportsErrorsOfTheWriter(t *testing.T) {
	checkGoroutines(t)
	r := pipeline.Readahead(t.Context(), endless{})
	full := errors.New("no space")
	if _, err := io.Copy(failing{full}, r); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestDigesterMeasuresWhatIsRead(t *testing.T) {
	d := pipeline.NewDigester(iotest.HalfReader(strings.NewReader("abc")))
	if _, err := io.ReadAll(d); err != nil {
		t.Fatal(err)
	}
	const want = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	if got := d.Digest().String(); got != want || d.Size() != 3 {
		t.Errorf("%s, %d bytes", got, d.Size())
	}
}
