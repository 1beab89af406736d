package graph

import (
	"context"
	"slices"
	"sync"

	"github.com/csdb/csdb/db"
)

// views are the views of a store that run. In one process readers run beside
// a writer and go on seeing what was there before his commit, so a content file
// that he took out of the store must wait until they have ended: they may be
// about to open it. Other processes, and other handles, cannot even begin to
// write while a view runs.
type views struct {
	mu      sync.Mutex
	last    uint64   // number of the view that began last
	running []uint64 // in the order in which they began
	waiting []waiting
}

// waiting is a content file that waits for the views up to a number.
type waiting struct {
	until uint64
	trash db.Trash
}

// begin notes that a view begins, and returns its number.
func (v *views) begin() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last++
	v.running = append(v.running, v.last)
	return v.last
}

// end notes that a view has ended, and returns the files for which it was the
// last one to wait for.
func (v *views) end(number uint64) (free []db.Trash) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running = slices.DeleteFunc(v.running, func(n uint64) bool { return n == number })
	v.waiting = slices.DeleteFunc(v.waiting, func(w waiting) bool {
		if len(v.running) > 0 && v.running[0] <= w.until {
			return false
		}
		free = append(free, w.trash)
		return true
	})
	return free
}

// hold keeps back the files among entries if there are views that may still
// open them, and returns what can be removed now.
func (v *views) hold(entries []db.Trash) (now []db.Trash) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range entries {
		if t.Kind == db.TrashFile && len(v.running) > 0 {
			v.waiting = append(v.waiting, waiting{until: v.last, trash: t})
		} else {
			now = append(now, t)
		}
	}
	return now
}

// beginView notes for all content of the store that a view begins. The function
// that it returns ends that.
func (s *Store) beginView() (end func(context.Context)) {
	homes := s.homes()
	numbers := make([]uint64, len(homes))
	for i, home := range homes {
		numbers[i] = home.views.begin()
	}
	return func(ctx context.Context) {
		for i, home := range homes {
			home.reapLate(ctx, home.views.end(numbers[i]))
		}
	}
}

// reapLate removes content files that waited for a view.
func (s *Store) reapLate(ctx context.Context, files []db.Trash) {
	if len(files) > 0 {
		_, err := s.reapNow(context.WithoutCancel(ctx), files, patiently)
		s.logLeft(err)
	}
}
