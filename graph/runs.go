package graph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/csdb/csdb/db"
)

// otherRuns are the other run roots with which the store has been used since the
// machine was booted, as far as there are volatile containers in them. The database
// knows them; this is what it knew last. So a transaction can begin with their
// databases, and only has to see whether they still are all.
type otherRuns struct {
	mu    sync.Mutex
	paths []string
}

// runMembers are the volatile databases in other run roots, for one transaction.
type runMembers struct {
	members []member
	paths   []string // of all run roots that are known, with such a database or not
}

// close ends the use of the databases.
func (r *runMembers) close() {
	for _, m := range r.members {
		m.db.Close()
	}
}

// runMembers opens the volatile databases in other run roots.
func (s *Store) runMembers(ctx context.Context) (*runMembers, error) {
	s.runs.mu.Lock()
	r := &runMembers{paths: slices.Clone(s.runs.paths)}
	s.runs.mu.Unlock()
	for _, path := range r.paths {
		for _, transient := range []bool{false, true} {
			database, err := db.OpenVolatile(ctx, s.volatileDir(path, transient), s.info.UUID, s.info.Driver, db.Options{ReadOnly: true, Log: s.options.Log})
			if errors.Is(err, fs.ErrNotExist) {
				continue // it is not used, or has gone
			}
			if err != nil {
				r.close()
				return nil, fmt.Errorf("volatile containers of run root %s: %w", path, err)
			}
			r.members = append(r.members, member{home: s, role: roleOtherRun, run: path, db: database})
		}
	}
	return r, nil
}

// sameRuns returns an error if the other run roots are not those that were known
// when the transaction was about to begin.
func (s *Store) sameRuns(main *db.ReadTx, known *runMembers) error {
	runs, err := main.Runs()
	if err != nil {
		return err
	}
	var paths []string
	for _, run := range runs {
		if run.Boot == s.boot && run.Path != s.options.RunRoot {
			paths = append(paths, run.Path)
		}
	}
	if slices.Equal(paths, known.paths) {
		return nil
	}
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	s.runs.paths = paths
	return errMoreMembers
}
