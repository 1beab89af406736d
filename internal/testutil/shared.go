package testutil

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
)

// SharedLoop returns an empty folder in a file system of one of the kinds that
// Filesystems lists. The tests of a package whose TestMain calls Main share
// one file system of each kind, which saves the tenths of a second that making
// it takes; in other packages SharedLoop is LoopMount.
//
// When the test ends, the folder is removed, and mounts that are left in it
// are errors of the test. What the test does to the rest of the file system,
// such as filling it, is noticed by the other tests.
func SharedLoop(t testing.TB, fs string) string {
	t.Helper()
	main := running.Load()
	if main == nil {
		return LoopMount(t, fs)
	}
	Loop{FS: fs}.need(t)
	disk, err := main.disks.get(fs)
	mustMount(t, fs, err)
	dir, err := os.MkdirTemp(disk.Dir(), "") //nolint:usetesting // t.TempDir is in another file system
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // as the root of a file system
		t.Fatal(err)
	}
	t.Cleanup(func() { vacate(t, dir) })
	return dir
}

// vacate removes a folder of a shared file system.
func vacate(t testing.TB, dir string) {
	t.Helper()
	left, err := (&mountpoint{dir: dir}).unmountLeftovers()
	if len(left) > 0 || err != nil {
		t.Errorf("still mounted at the end: %q %v", left, err)
	}
	// What cannot be removed, such as an immutable file, goes with the file
	// system at the end of the process.
	if err := os.RemoveAll(dir); err != nil {
		t.Logf("leave it to the end of the process: %v", err)
	}
}

// sharedDisks are the file systems that SharedLoop has mounted.
type sharedDisks struct {
	mu    sync.Mutex
	kinds map[string]*sharedDisk
}

// sharedDisk is one of them, or the error that keeps it from being one.
type sharedDisk struct {
	once sync.Once
	disk *Disk
	err  error
}

// get returns the file system of a kind, which the first call mounts.
func (s *sharedDisks) get(fs string) (*Disk, error) {
	s.mu.Lock()
	if s.kinds == nil {
		s.kinds = make(map[string]*sharedDisk)
	}
	shared := s.kinds[fs]
	if shared == nil {
		shared = new(sharedDisk)
		s.kinds[fs] = shared
	}
	s.mu.Unlock()
	shared.once.Do(func() {
		// It outlives the test that happens to be the first.
		shared.disk, shared.err = Loop{FS: fs}.mount(context.Background())
	})
	return shared.disk, shared.err
}

// close unmounts all of them.
func (s *sharedDisks) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, shared := range s.kinds {
		if shared.disk != nil {
			err = errors.Join(err, shared.disk.close())
		}
	}
	return err
}
