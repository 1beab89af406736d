package db

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Examined is one of the database files that ExamineAll looks at.
type Examined struct {
	Path string
	// Pages is what was found out about its pages, nil if the file could not be
	// read.
	Pages *PageReport
	// Tx sees its records. It is nil if Err says why there is none; then Err
	// matches model.ErrCorrupt if the file is damaged, and fs.ErrNotExist if there
	// is none.
	Tx  *ReadTx
	Err error
}

// ExamineAll is Examine for several database files, of which fn sees one state:
// nobody writes to any of them meanwhile. What is wrong with one of them does not
// keep fn from looking at the others. The error is that of fn, or about what kept
// ExamineAll from calling it.
func ExamineAll(ctx context.Context, wait time.Duration, paths []string, fn func([]*Examined) error) error {
	waiting, cancel := waitAtMost(ctx, wait)
	defer cancel()
	release, err := keepAllStill(waiting, inOrder(paths))
	if err != nil {
		return err
	}
	defer release()
	all := make([]*Examined, len(paths))
	for i, path := range paths {
		all[i] = &Examined{Path: path}
		all[i].Pages, all[i].Err = CheckFile(ctx, path)
	}
	return examineRest(ctx, wait, all, all, fn)
}

// examineRest begins the transactions on rest, the last one first: a fault of the
// disk is taken for one of the file that was opened last, and the first one is what
// the caller asks for.
func examineRest(ctx context.Context, wait time.Duration, all, rest []*Examined, fn func([]*Examined) error) error {
	if len(rest) == 0 {
		return fn(all)
	}
	e, rest := rest[len(rest)-1], rest[:len(rest)-1]
	if e.Err != nil {
		return examineRest(ctx, wait, all, rest, fn)
	}
	began := false
	err := examine(ctx, wait, e.Path, func(tx *ReadTx) error {
		began, e.Tx = true, tx
		return examineRest(ctx, wait, all, rest, fn)
	})
	if began {
		return err
	}
	e.Err = err
	return examineRest(ctx, wait, all, rest, fn)
}

// inOrder returns paths in the order in which everybody takes the locks of several
// databases: that of the UUIDs of the stores. Copies of a store have the same one.
func inOrder(paths []string) []string {
	type identity struct {
		path, uuid    string
		device, inode uint64
	}
	all := make([]identity, len(paths))
	for i, path := range paths {
		all[i] = identity{path: path}
		all[i].uuid, _ = readMarker(path)
		var stat unix.Stat_t
		if unix.Stat(filepath.Dir(path), &stat) == nil {
			all[i].device, all[i].inode = stat.Dev, stat.Ino
		}
	}
	slices.SortFunc(all, func(a, b identity) int {
		return cmp.Or(strings.Compare(a.uuid, b.uuid), cmp.Compare(a.device, b.device), cmp.Compare(a.inode, b.inode))
	})
	sorted := make([]string, len(all))
	for i, identity := range all {
		sorted[i] = identity.path
	}
	return sorted
}

// keepAllStill is keepStill for several databases.
func keepAllStill(ctx context.Context, paths []string) (release func(), err error) {
	var releases []func()
	release = func() {
		for _, release := range slices.Backward(releases) {
			release()
		}
	}
	for _, path := range paths {
		one, err := keepStill(ctx, path)
		if err != nil {
			release()
			return nil, err
		}
		releases = append(releases, one)
	}
	return release, nil
}
