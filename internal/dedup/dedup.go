package dedup

import (
	"context"
	"errors"

	"github.com/csdb/csdb/internal/beneath"
)

// Tree is a directory whose files are looked at.
type Tree struct {
	Name string       // in errors
	Dir  *beneath.Dir // the caller closes it
}

// Options are what may be said about a run.
type Options struct {
	Method Method
	// DryRun finds out what could be shared, and shares nothing. Contents are
	// taken for equal if they have the same SHA-256, whatever the method.
	DryRun bool
	// Progress is told at the beginning of each step what is done, and with
	// about how many bytes, -1 if nobody knows. What it returns is called with
	// how many more have been dealt with. Nil is told nothing.
	Progress func(what string, total int64) (done func(n int64))
}

// Result is what has come of a run.
type Result struct {
	// Files is how many files have the size of another one and were compared,
	// each once, however many names it has.
	Files int64
	// Shared is how many of them share their content with one that came
	// before, and Bytes how much content that is: with what was shared before,
	// so that a second run comes to the same.
	Shared, Bytes int64
	// Skipped is how many of them could not be compared, or not with all others:
	// because they changed meanwhile, could not be read, or the kernel refused.
	// It depends on the method, which says what has to be compared.
	Skipped int64
}

// run is a run under way.
type run struct {
	trees    []*tree
	method   Method
	dryRun   bool
	progress func(what string, total int64) (done func(n int64))
	sizes    *sizes
	result   Result
	wrong    []error // what could not be looked at
}

// roundFiles is about how many files are held in memory at a time.
const roundFiles = 1 << 18

// Run lets equal files of the trees share their content. It returns what it has
// done also with an error, of which one that matches model.ErrUnsupported means
// that the file system cannot share. Trees and files that cannot be read do not
// keep it from sharing others.
func Run(ctx context.Context, trees []Tree, options Options) (Result, error) {
	return runIn(ctx, trees, options, roundFiles)
}

// runIn is Run with rounds of about so many files.
func runIn(ctx context.Context, trees []Tree, options Options, files int64) (Result, error) {
	method, err := ParseMethod(string(options.Method))
	if err != nil {
		return Result{}, err
	}
	r := &run{method: method, dryRun: options.DryRun, progress: options.Progress, sizes: newSizes()}
	if r.dryRun {
		r.method = SHA256
	}
	if r.progress == nil {
		r.progress = func(string, int64) func(int64) { return func(int64) {} }
	}
	for _, t := range trees {
		r.trees = append(r.trees, &tree{name: t.Name, dir: t.Dir})
	}
	err = r.shareAll(ctx, files)
	return r.result, errors.Join(append(r.wrong, err)...)
}

func (r *run) shareAll(ctx context.Context, limit int64) error {
	if err := r.count(ctx); err != nil {
		return err
	}
	rounds, bytes := r.sizes.rounds(limit)
	done := r.progress("comparing files", bytes)
	for _, now := range rounds {
		files, err := r.collect(ctx, now, done)
		if err == nil {
			err = r.shareSizes(ctx, files, done)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
