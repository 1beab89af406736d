package project_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/project"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestMain(m *testing.M) { testutil.Main(m, nil) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a directory and opens it.
func open(t testing.TB, path string) int {
	t.Helper()
	must(t, os.MkdirAll(path, 0o700))
	file, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { must(t, file.Close()) })
	return int(file.Fd())
}

// asContainer calls f without the capability that ext4 exempts from limits. The
// thread that has lost it ends with its goroutine.
func asContainer(t testing.TB, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		var err error
		defer func() { done <- err }()
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err = unix.Capget(&header, &sets[0]); err == nil {
			sets[0].Effective &^= 1 << unix.CAP_SYS_RESOURCE
			err = unix.Capset(&header, &sets[0])
		}
		if err == nil {
			f()
		}
	}()
	must(t, <-done)
}

// onlyFull fails unless an error says that a quota is used up: of a project XFS
// says that the disk is full.
func onlyFull(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, unix.EDQUOT) && !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v, want EDQUOT or ENOSPC", err)
	}
}

func TestLimitsHoldForWhatIsMadeBelowADirectory(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		limited, free := filepath.Join(dir, "limited"), filepath.Join(dir, "free")
		fd, _ := open(t, limited), open(t, free)
		must(t, project.Check(fd))
		id, err := project.New(fd)
		must(t, err)
		must(t, project.Set(fd, id, project.Limits{Bytes: 1<<20 + 1, Inodes: 3}))
		must(t, project.Put(fd, id))
		if of, err := project.Of(fd); err != nil || of != id || !id.Ours() {
			t.Errorf("project is %d, %v, want %d", of, err, id)
		}
		asContainer(t, func() {
			must(t, os.Mkdir(limited+"/sub", 0o700))
			must(t, os.WriteFile(limited+"/sub/file", make([]byte, 512<<10), 0o600))
			onlyFull(t, os.WriteFile(limited+"/sub/file", make([]byte, 2<<20), 0o600))
			onlyFull(t, os.WriteFile(limited+"/fourth", nil, 0o600))
			must(t, os.WriteFile(free+"/file", make([]byte, 2<<20), 0o600))
		})

		limits, usage, err := project.Get(fd, id)
		must(t, err)
		if least := uint64(1<<20 + 1); limits.Inodes != 3 || limits.Bytes < least || limits.Bytes > least+4096 {
			t.Errorf("limits are %v", limits)
		}
		if usage.Inodes != 3 || usage.Bytes > limits.Bytes {
			t.Errorf("usage is %v", usage)
		}
		must(t, os.RemoveAll(limited+"/sub"))
		must(t, project.Set(fd, id, project.Limits{}))
		asContainer(t, func() { must(t, os.WriteFile(limited+"/file", make([]byte, 2<<20), 0o600)) })
		if _, usage, err := project.Get(fd, id); err != nil || usage.Inodes != 2 || usage.Bytes < 2<<20 || usage.Bytes > 3<<20 {
			t.Errorf("usage is %v, %v", usage, err)
		}
	})
}

func TestProjectsAreNewUntilTheyHaveSomething(t *testing.T) {
	testutil.EachProjectQuota(t, func(t *testing.T, dir string) {
		fd := open(t, dir)
		seen := make(map[project.ID]bool)
		for range 20 {
			id, err := project.New(fd)
			must(t, err)
			if seen[id] || !id.Ours() {
				t.Errorf("project %d is not new", id)
			}
			seen[id] = true
		}
	})
}

func TestFileSystemsWithoutProjectQuotasAreTold(t *testing.T) {
	for _, fs := range testutil.Filesystems() {
		t.Run(fs, func(t *testing.T) {
			fd := open(t, testutil.SharedLoop(t, fs))
			if err := project.Check(fd); !errors.Is(err, model.ErrUnsupported) {
				t.Errorf("got %v, want ErrUnsupported", err)
			}
			if of, err := project.Of(fd); err != nil || of != project.None {
				t.Errorf("project is %d, %v", of, err)
			}
		})
	}
}

func TestUnreadableDescriptorsAreErrors(t *testing.T) {
	for name, call := range map[string]func(fd int) error{
		"check": project.Check,
		"of":    func(fd int) error { _, err := project.Of(fd); return err },
		"put":   func(fd int) error { return project.Put(fd, 1<<31) },
	} {
		if err := call(-1); !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: got %v, want EBADF", name, err)
		}
	}
}
