package fsck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/internal/pipeline"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// reader reads contents. No lock is held meanwhile, so that what it finds has to
// be confirmed.
type reader struct {
	files *content.Files
	home  drivers.Inspector // nil if there is none

	// count notes that so many bytes have been read.
	count counter

	mu      sync.Mutex
	results []result
	// whole are those of what is marked as damaged that are as they should be.
	whole []*reading
}

// result is what is wrong with something that was read.
type result struct {
	reading *reading
	code    Code
	// expected and found say what is wrong.
	expected, found string
	files           []FileDamage
}

// readContents reads what was planned.
func (c *checker) readContents(ctx context.Context, driver drivers.Entry) (r *reader, err error) {
	r = &reader{}
	var read atomic.Int64
	show := c.startProgress()
	r.count = func(n int64) {
		read.Add(n)
		show(n)
	}
	if r.files, err = content.Open(c.options.Root); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.files.Close()) }()
	home := filepath.Join(c.options.Root, driver.Name)
	if r.home, err = driver.Inspect(ctx, home, c.othersHomes); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if r.home != nil {
		defer func() { err = errors.Join(err, r.home.Close()) }()
	}
	err = r.readAll(ctx, c.readings)
	c.report.Checked.Contents, c.report.Checked.Bytes = len(c.readings), read.Load()
	return r, err
}

// startProgress returns what is told how many bytes have been read.
func (c *checker) startProgress() func(n int64) {
	if c.options.Progress == nil {
		return func(int64) {}
	}
	var total int64
	for i := range c.readings {
		total += c.readings[i].size()
	}
	return c.options.Progress(total)
}

// readAll reads everything, on all processors.
func (r *reader) readAll(ctx context.Context, readings []reading) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *reading)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for reading := range next {
				if err := r.read(ctx, reading); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range readings {
		select {
		case next <- &readings[i]:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// read reads one thing and notes what is wrong with it. What has gone is not
// reported: that it is missing has been, or it is not needed any more.
func (r *reader) read(ctx context.Context, reading *reading) (err error) {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var found *result
	if reading.diff != nil {
		found, err = r.readDiff(ctx, reading)
	} else {
		found, err = r.readFile(ctx, reading)
	}
	if errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if !isBroken(err) {
			return err
		}
		found = &result{code: CodeUnreadable, expected: "content that can be read", found: err.Error()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case found != nil:
		found.reading = reading
		r.results = append(r.results, *found)
	case reading.mark() != "":
		r.whole = append(r.whole, reading)
	}
	return nil
}

// readFile compares a content file with its digest.
func (r *reader) readFile(ctx context.Context, reading *reading) (_ *result, err error) {
	file, err := r.files.Open(reading.content)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := pipeline.NewSum()
	if _, err := io.Copy(io.MultiWriter(sum, r.count), pipeline.WithContext(ctx, file)); err != nil {
		return nil, err
	}
	if sum.Digest() == reading.content.Digest {
		return nil, nil //nolint:nilnil // Nothing is wrong.
	}
	return &result{code: CodeDigest, expected: reading.content.Digest.String(), found: sum.Digest().String()}, nil
}

// readDiff puts a layer's diff together again and compares it with its digest.
func (r *reader) readDiff(ctx context.Context, reading *reading) (_ *result, err error) {
	if r.home == nil {
		return nil, fs.ErrNotExist
	}
	file, err := r.files.Open(reading.content)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	split, err := tarsplit.Decompress(bufio.NewReader(file))
	if err != nil {
		return nil, brokenSplit(err)
	}
	defer func() { err = errors.Join(err, split.Close()) }()
	files, err := r.home.Content(ctx, reading.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	sum := pipeline.NewSum()
	var damages []FileDamage
	err = tarsplit.Verify(ctx, io.MultiWriter(sum, r.count), split, files, func(damage *tarsplit.FileError) error {
		damages = append(damages, FileDamage{Path: damage.Name, Found: damage.Reason.Error()})
		return nil
	})
	if err != nil {
		return nil, brokenSplit(err)
	}
	return compareDiff(reading.diff, sum, damages), nil
}

// brokenSplit makes damage to a tar-split, which has a finding of its own,
// something that need not be reported once more.
func brokenSplit(err error) error {
	if errors.Is(err, model.ErrCorrupt) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// maxFiles is how many files of a layer a finding lists.
const maxFiles = 100

// compareDiff compares what a layer gives with what it should give.
func compareDiff(diff *model.Diff, sum *pipeline.Sum, damages []FileDamage) *result {
	found := &result{code: CodeContent, expected: fmt.Sprintf("a diff of %d bytes with digest %s", diff.Size, diff.Digest)}
	switch {
	case len(damages) == 1:
		found.found = "a file that differs"
	case len(damages) > 1:
		found.found = fmt.Sprintf("%d files that differ", len(damages))
	case sum.Size() != diff.Size || sum.Digest() != diff.Digest:
		found.found = fmt.Sprintf("one of %d bytes with digest %s", sum.Size(), sum.Digest())
	default:
		return nil
	}
	slices.SortStableFunc(damages, func(a, b FileDamage) int { return strings.Compare(a.Path, b.Path) })
	found.files = damages
	return found
}

// counter is a writer that only counts.
type counter func(n int64)

func (c counter) Write(p []byte) (int, error) {
	c(int64(len(p)))
	return len(p), nil
}
