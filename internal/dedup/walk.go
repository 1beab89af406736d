package dedup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/beneath"
)

// tree is a directory whose files are looked at.
type tree struct {
	name string
	dir  *beneath.Dir
	// broken says that the tree could not be walked. It is not tried again.
	broken bool
}

// worthwhile tells whether a file has something on disk that could be shared.
func worthwhile(stat *unix.Stat_t) bool {
	return stat.Mode&unix.S_IFMT == unix.S_IFREG && stat.Size > 0 && stat.Blocks > 0
}

// walk visits the files of all trees. A tree that cannot be walked is left out
// from then on; the others are walked all the same.
func (r *run) walk(ctx context.Context, visit func(*tree, *beneath.Entry) error) error {
	for _, t := range r.trees {
		if t.broken {
			continue
		}
		var stop error
		err := t.dir.Walk(ctx, func(e *beneath.Entry) error {
			if worthwhile(&e.Stat) {
				stop = visit(t, e)
			}
			return stop
		})
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if stop != nil {
			return stop
		}
		if err != nil {
			t.broken = true
			r.wrong = append(r.wrong, fmt.Errorf("%s: %w", t.name, err))
		}
	}
	return nil
}

// count counts the files by their sizes. With the first one it finds out whether
// the file system can share at all.
func (r *run) count(ctx context.Context) error {
	done := r.progress("counting files", -1)
	asked := false
	return r.walk(ctx, func(_ *tree, e *beneath.Entry) (err error) {
		done(e.Stat.Size)
		r.sizes.add(e.Stat.Size)
		if !asked {
			asked, err = canShare(e)
		}
		return err
	})
}

// canShare asks the file system whether it can share content, with a file that
// is to share its own. asked is false if the file is gone.
func canShare(e *beneath.Entry) (asked bool, err error) {
	file, err := e.Dir.RegularEntry(e.Name)
	if err != nil {
		return false, nil // the next file is as good
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// That it cannot be done with one and the same range is what file systems
	// say that can do it with others.
	if _, err := shareRange(file, file, 0, min(e.Stat.Size, keyBlock)); cannotShare(err) {
		return true, errCannotShare
	}
	return true, nil
}

// collect returns the files of a round, each inode once, in the order of the
// walk.
func (r *run) collect(ctx context.Context, now round, done func(int64)) (files []*file, err error) {
	seen := make(map[inode]bool)
	dir := ""
	err = r.walk(ctx, func(t *tree, e *beneath.Entry) error {
		if !r.sizes.has(now, e.Stat.Size) {
			return nil
		}
		id := inodeOf(&e.Stat)
		if e.Stat.Nlink > 1 && seen[id] {
			done(e.Stat.Size)
			return nil
		}
		if e.Stat.Nlink > 1 {
			seen[id] = true
		}
		if above := strings.TrimSuffix(strings.TrimSuffix(e.Path(), e.Name), "/"); above != dir {
			dir = strings.Clone(above)
		}
		files = append(files, &file{tree: t, dir: dir, name: e.Name, inode: id, size: e.Stat.Size})
		return nil
	})
	return files, err
}
