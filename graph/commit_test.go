package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// commitFails is what a child process runs: it commits a layer while the kernel
// forbids it to write files, and sees what becomes of the content.
func commitFails(ctx context.Context, args []string) error {
	p := place{driver: args[0], root: args[1], run: args[2]}
	s, err := graph.Open(ctx, graph.Options{Root: p.root, RunRoot: p.run, Driver: p.driver})
	if err != nil {
		return err
	}
	layer, err := stageOne(ctx, s)
	if err != nil {
		return err
	}
	if err := failToCommit(ctx, s, layer, func() error { return nil }); err == nil || db.IsUnknown(err) {
		return fmt.Errorf("the commit ended with %w", err)
	}
	// That did not take effect, and so can be tried again.
	blind := &blindfold{path: filepath.Join(p.root, db.FileName)}
	err = failToCommit(ctx, s, layer, blind.cover)
	if errCover := blind.uncover(); !db.IsUnknown(err) || errCover != nil {
		return fmt.Errorf("the commit ended with %w, %w", err, errCover)
	}
	return unknownFate(ctx, p, s, layer)
}

// stageOne stages a layer.
func stageOne(ctx context.Context, s *graph.Store) (*graph.StagedLayer, error) {
	archive, err := packed(file("a", "1"))
	if err != nil {
		return nil, err
	}
	return s.StageLayer(ctx, graph.LayerSpec{ID: "layer"}, bytes.NewReader(archive))
}

// failToCommit commits a layer while nothing can be written, after a last
// preparation.
func failToCommit(ctx context.Context, s *graph.Store, layer *graph.StagedLayer, last func() error) error {
	signal.Ignore(unix.SIGXFSZ)
	err := s.Update(ctx, func(tx *graph.Tx) error {
		_, err := tx.AddLayer(layer)
		return errors.Join(err, last(), limitFiles(0))
	})
	return errors.Join(err, limitFiles(unix.RLIM_INFINITY))
}

func limitFiles(size uint64) error {
	return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY})
}

// blindfold hides from the database what was committed last, by covering the
// two pages that say so.
type blindfold struct {
	path   string
	hidden []byte
}

func (b *blindfold) cover() error {
	b.hidden = make([]byte, 2*os.Getpagesize())
	return b.edit(func(f *os.File) error {
		_, err := f.ReadAt(b.hidden, 0)
		_, errWrite := f.WriteAt(make([]byte, len(b.hidden)), 0)
		return errors.Join(err, errWrite)
	})
}

func (b *blindfold) uncover() error {
	return b.edit(func(f *os.File) error {
		_, err := f.WriteAt(b.hidden, 0)
		return err
	})
}

func (b *blindfold) edit(fn func(*os.File) error) error {
	f, err := os.OpenFile(b.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(fn(f), f.Close())
}

// unknownFate checks that content is kept of which nobody knows whether it has
// been committed, until the store is closed.
func unknownFate(ctx context.Context, p place, s *graph.Store, layer *graph.StagedLayer) error {
	exists := func(after string) error {
		if _, err := os.Lstat(filepath.Join(p.contentDir("layer"), "a")); err != nil {
			return fmt.Errorf("after %s: %w", after, err)
		}
		return nil
	}
	err := layer.Discard(ctx)
	if err := errors.Join(err, exists("Discard")); err != nil {
		return err
	}
	err = s.Update(ctx, func(tx *graph.Tx) error { _, err := tx.AddLayer(layer); return err })
	if !errors.Is(err, model.ErrInvalid) {
		return fmt.Errorf("taken once more: %w", err)
	}
	if r, err := s.Recover(ctx); err != nil || len(r.Busy) != 2 || len(r.Staged)+len(r.Strays) > 0 {
		return fmt.Errorf("recovered %+v: %w", r, err)
	}
	if err := errors.Join(s.Close(), exists("Close")); err != nil {
		return err
	}
	// From now on it is like what a dead process left, also for this one.
	if s, err = graph.Open(ctx, graph.Options{Root: p.root, RunRoot: p.run, Driver: p.driver}); err != nil {
		return err
	}
	if r, err := s.Recover(ctx); err != nil || len(r.Busy) != 0 || len(r.Staged) != 2 {
		return fmt.Errorf("recovered %+v: %w", r, err)
	}
	return s.Close()
}

func TestContentIsKeptWhenACommitFails(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		noError(t, testutil.Child(t, "commit-fails", p.driver, p.root, p.run).Run())
		checkEmpty(t, s)
	})
}
