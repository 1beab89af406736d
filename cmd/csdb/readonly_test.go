package main

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

// lowLevel are commands that read the database file whatever is in it.
func lowLevel() [][]string {
	return [][]string{{"db", "stats"}, {"db", "buckets"}, {"db", "pages"}, {"db", "dump"}, {"db", "get", "store", "info"}}
}

func TestNoCommandWritesToTheStore(t *testing.T) {
	s := newSample(t)
	for _, damaged := range []bool{false, true} {
		if damaged {
			damage(t, s)
		}
		for _, args := range append(reading(t), lowLevel()...) {
			before := testutil.Snapshot(t, filepath.Dir(s.root))
			s.csdb(t, args...)
			if diff := cmp.Diff(before, testutil.Snapshot(t, filepath.Dir(s.root))); diff != "" {
				t.Errorf("%q, damaged: %t: the store has changed: %s", args, damaged, diff)
			}
		}
	}
}

func TestCommandsOnAReadOnlyFileSystem(t *testing.T) {
	dir := testutil.LoopMount(t, "ext4")
	s := &sample{root: filepath.Join(dir, "root"), runRoot: filepath.Join(dir, "run")}
	s.fill(t)
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	for _, args := range append(reading(t), lowLevel()...) {
		if r := s.csdb(t, args...); r.status != 0 || r.stdout == "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
