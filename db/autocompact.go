package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/csdb/csdb/model"
)

const (
	// autoSize is how large a file is at least that is compacted on its own, in
	// bytes.
	autoSize = 32 << 20
	// autoCopy is how much there may be to copy, in bytes: others wait for one
	// or two seconds for each 100 MB.
	autoCopy = 128 << 20
	// autoWait is how long others may keep it from beginning.
	autoWait = 10 * time.Millisecond
	// autoPause is how soon it is tried again if they did. Otherwise each commit
	// in a busy store would take so much longer.
	autoPause = time.Second
	// autoBackOff is how soon it is tried again if it has failed: looking through
	// a file takes its time, and damage and full disks stay for a while.
	autoBackOff = time.Hour
)

// autoCompact is what a DB knows about compacting the database on its own. The
// zero value is ready for use.
type autoCompact struct {
	// mu is locked by whoever is at it.
	mu        sync.Mutex
	notBefore time.Time
	// atLeast and wait are used instead of autoSize and autoWait unless they are 0.
	atLeast int64
	wait    time.Duration
}

// worthwhile tells whether a transaction has left so much free that the file
// should be made smaller. That is known without looking at the file.
func (a *autoCompact) worthwhile(done *committed) bool {
	atLeast := cmp.Or(a.atLeast, autoSize)
	size, free := done.pages*done.pageSize, done.free*done.pageSize
	return size >= atLeast && (free-reserveSize)*4 >= size*3 && size-free <= autoCopy
}

// shrink compacts the database after a transaction if that is worthwhile and
// nobody else uses it. What goes wrong is logged.
func (db *DB) shrink(ctx context.Context, done *committed) {
	a := &db.auto
	if db.options.NoAutoCompact || !a.worthwhile(done) || !a.mu.TryLock() {
		return
	}
	defer a.mu.Unlock()
	now := db.options.Now()
	if now.Before(a.notBefore) {
		return
	}
	patience := cmp.Or(a.wait, autoWait)
	wait, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w: waited for %v", model.ErrBusy, patience))
	defer cancel()
	// Others may have been faster.
	err := db.file.alone(wait, func() error { return db.compact(ctx, wait, a.worthwhile, nil) })
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, model.ErrClosed):
	case errors.Is(err, model.ErrBusy):
		a.notBefore = now.Add(autoPause)
	default:
		a.notBefore = now.Add(autoBackOff)
		db.options.Log.WithError(err).Warnf("%s stays larger than it need be: compacting it is tried again in %v; see `csdb compact`", db.file.path, autoBackOff)
	}
}
