package vfs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/vfs"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// open opens a driver in a new home below dir and makes the layer "base", whose
// tree is returned.
func open(t testing.TB, dir string) (driver drivers.Driver, base string) {
	t.Helper()
	driver, err := vfs.Open(t.Context(), drivers.Config{Home: filepath.Join(dir, "vfs"), RunHome: filepath.Join(dir, "run")})
	must(t, err)
	t.Cleanup(func() { must(t, driver.Close(t.Context())) })
	must(t, driver.Create(t.Context(), "base", "", drivers.CreateOptions{}))
	base, _, err = driver.Mountpoint(t.Context(), "base")
	must(t, err)
	return driver, base
}

// copyOf makes a layer on top of base and returns its tree.
func copyOf(t testing.TB, driver drivers.Driver) string {
	t.Helper()
	must(t, driver.Create(t.Context(), "copy", "base", drivers.CreateOptions{}))
	path, _, err := driver.Mountpoint(t.Context(), "copy")
	must(t, err)
	return path
}

func TestHomeHasOneDirectoryPerLayer(t *testing.T) {
	dir := t.TempDir()
	driver, base := open(t, dir)
	if want := filepath.Join(dir, "vfs", "dir", "base"); base != want {
		t.Errorf("base is at %s, want %s", base, want)
	}
	must(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o600))
	if got, want := copyOf(t, driver), filepath.Join(dir, "vfs", "dir", "copy"); got != want {
		t.Errorf("copy is at %s, want %s", got, want)
	}
	info, err := os.Stat(base)
	must(t, err)
	if info.Mode().Perm() != 0o755 {
		t.Errorf("root directory has mode %v", info.Mode())
	}
}

// On file systems that can share blocks, a copy takes none.
func TestCopiesShareTheirContents(t *testing.T) {
	for _, fs := range []string{"xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			driver, base := open(t, testutil.LoopMount(t, fs))
			const size = 64 << 20
			for _, name := range []string{"one", "two"} {
				must(t, os.WriteFile(filepath.Join(base, name), []byte(strings.Repeat(name, size/len(name))), 0o600))
			}
			sync(t, base)
			before := used(t, base)
			copied := copyOf(t, driver)
			sync(t, base)
			if grown := used(t, base) - before; grown > size/8 {
				t.Errorf("copying %d bytes took %d", 2*size, grown)
			}
			for _, name := range []string{"one", "two"} {
				if !shared(t, filepath.Join(copied, name)) {
					t.Errorf("blocks of %s are not shared", name)
				}
			}
			// Sharing ends where the copy is changed.
			must(t, os.WriteFile(filepath.Join(copied, "one"), []byte("changed"), 0o600))
			if content, err := os.ReadFile(filepath.Join(base, "one")); err != nil || len(content) != size/3*3 {
				t.Errorf("original has %d bytes, %v", len(content), err)
			}
		})
	}
}

func sync(t testing.TB, path string) {
	t.Helper()
	dir, err := os.Open(path)
	must(t, err)
	must(t, unix.Syncfs(int(dir.Fd())))
	must(t, dir.Close())
}

// used returns how many bytes of the file system are in use.
func used(t testing.TB, path string) int64 {
	t.Helper()
	var stat unix.Statfs_t
	must(t, unix.Statfs(path, &stat))
	return int64(stat.Blocks-stat.Bfree) * stat.Bsize
}

// shared asks the kernel whether the first extent of a file is shared
// (Documentation/filesystems/fiemap.rst).
func shared(t testing.TB, path string) bool {
	t.Helper()
	const (
		fsIOCFiemap        = 0xc020660b
		fiemapExtentShared = 0x2000
	)
	var request struct {
		start, length                    uint64
		flags, mapped, extents, reserved uint32
		logical, physical, extentLength  uint64
		reserved64                       [2]uint64
		extentFlags                      uint32
		reserved32                       [3]uint32
	}
	request.length, request.extents = 1<<62, 1
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), fsIOCFiemap, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		t.Fatalf("FS_IOC_FIEMAP: %v", errno)
	}
	return request.mapped == 1 && request.extentFlags&fiemapExtentShared != 0
}

// The attributes that matter to overlays and to programs, and times of access.
func TestCopiesKeepAttributesAndTimes(t *testing.T) {
	testutil.NeedRoot(t)
	driver, base := open(t, testutil.SharedLoop(t, "ext4"))
	acl := string([]byte{2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 6, 0, 232, 3, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255})
	must(t, os.Mkdir(filepath.Join(base, "dir"), 0o755))
	must(t, os.WriteFile(filepath.Join(base, "file"), []byte("content"), 0o755))
	must(t, os.Symlink("file", filepath.Join(base, "link")))
	for path, attrs := range map[string]map[string]string{
		".":    {"user.of.root": "directory", "trusted.overlay.opaque": "y"},
		"dir":  {"trusted.overlay.opaque": "y", "system.posix_acl_default": acl, "system.posix_acl_access": acl, "user.empty": ""},
		"file": {"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "system.posix_acl_access": acl, "user.long": strings.Repeat("x", 3000)},
		"link": {"trusted.of.link": "not of file"},
	} {
		for name, value := range attrs {
			must(t, unix.Lsetxattr(filepath.Join(base, path), name, []byte(value), 0))
		}
	}
	for i, name := range []string{"file", "link", "dir", "."} {
		atime, mtime := time.Unix(1500000000+int64(i), 123456789), time.Unix(1600000000+int64(i), 987654321)
		times := []unix.Timespec{{Sec: atime.Unix(), Nsec: 123456789}, {Sec: mtime.Unix(), Nsec: 987654321}}
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(base, name), times, unix.AT_SYMLINK_NOFOLLOW))
	}
	atimes := func(dir string) (all []unix.Timespec) {
		for _, name := range []string{"file", "link", "dir", "."} {
			var stat unix.Stat_t
			must(t, unix.Lstat(filepath.Join(dir, name), &stat))
			all = append(all, stat.Atim)
		}
		return all
	}
	wantTimes := atimes(base)
	copied := copyOf(t, driver)
	if diff := cmp.Diff(wantTimes, atimes(copied)); diff != "" {
		t.Errorf("times of access: want (-), got (+):\n%s", diff)
	}
	want := testutil.Snapshot(t, base)
	if len(want["dir"].Xattrs) != 4 || len(want["link"].Xattrs) != 1 {
		t.Fatalf("attributes were not set: %v", want)
	}
	if diff := cmp.Diff(want, testutil.Snapshot(t, copied)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// Deeper than any path can name, and than there are descriptors.
func TestTreesOfAnyDepthAreCopiedAndRemoved(t *testing.T) {
	const depth = 5000
	driver, base := open(t, t.TempDir())
	bottom := dive(t, base, func(dir int) { must(t, unix.Mkdirat(dir, "deep", 0o755)) }, depth)
	must(t, unix.Mknodat(bottom, "one", unix.S_IFREG|0o600, 0))
	must(t, unix.Linkat(bottom, "one", bottom, "two", 0))
	must(t, unix.Close(bottom))
	lowLimit(t)
	copied := copyOf(t, driver)
	bottom = dive(t, copied, func(int) {}, depth)
	var one, two unix.Stat_t
	must(t, unix.Fstatat(bottom, "one", &one, 0))
	must(t, unix.Fstatat(bottom, "two", &two, 0))
	must(t, unix.Close(bottom))
	if one.Ino != two.Ino {
		t.Error("the names at the bottom are those of two files")
	}
	must(t, driver.Remove(t.Context(), "base"))
	must(t, driver.Remove(t.Context(), "copy"))
	if ids, err := driver.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("layers are %q, %v", ids, err)
	}
}

// dive goes down the directories called "deep", calling each before every
// step, and returns the last one.
func dive(t testing.TB, path string, each func(dir int), depth int) (bottom int) {
	t.Helper()
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	for range depth {
		each(dir)
		next, err := unix.Openat(dir, "deep", unix.O_PATH|unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(dir))
		dir = next
	}
	return dir
}

// lowLimit lets the process have few descriptors until the test ends.
func lowLimit(t testing.TB) {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: limit.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) })
}

// What is mounted in a layer is not of the layer.
func TestMountsInALayerAreNeitherCopiedNorDeleted(t *testing.T) {
	testutil.NeedRoot(t)
	driver, base := open(t, testutil.SharedLoop(t, "ext4"))
	point := filepath.Join(base, "mnt")
	must(t, os.Mkdir(point, 0o755))
	host := t.TempDir()
	must(t, os.WriteFile(filepath.Join(host, "precious"), []byte("of the host"), 0o600))
	must(t, unix.Mount(host, point, "", unix.MS_BIND, ""))
	unmounted := false
	t.Cleanup(func() {
		if !unmounted {
			_ = unix.Unmount(point, unix.MNT_DETACH)
		}
	})
	err := driver.Create(t.Context(), "copy", "base", drivers.CreateOptions{})
	wantErr(t, err, model.ErrBusy)
	wantErr(t, driver.Remove(t.Context(), "base"), model.ErrBusy)
	if content, err := os.ReadFile(filepath.Join(host, "precious")); err != nil || string(content) != "of the host" {
		t.Errorf("file of the host contains %q, %v", content, err)
	}
	if ids, err := driver.List(t.Context()); err != nil || fmt.Sprint(ids) != "[base]" {
		t.Errorf("layers are %q, %v", ids, err)
	}
	// By now the layer has another name, but it can be removed for good.
	matches, err := filepath.Glob(filepath.Join(filepath.Dir(base), ".part-base", "mnt"))
	must(t, err)
	for _, path := range matches {
		must(t, unix.Unmount(path, unix.MNT_DETACH))
		unmounted = true
	}
	must(t, driver.Remove(t.Context(), "base"))
}

func TestFullDiskLeavesNoHalfCopy(t *testing.T) {
	driver, base := open(t, testutil.Tmpfs(t))
	var stat unix.Statfs_t
	must(t, unix.Statfs(base, &stat))
	must(t, os.WriteFile(filepath.Join(base, "small"), []byte("content"), 0o600))
	large, err := os.Create(filepath.Join(base, "large"))
	must(t, err)
	// More than half of what there is.
	must(t, unix.Fallocate(int(large.Fd()), 0, 0, int64(stat.Bavail)*stat.Bsize*6/10))
	must(t, large.Close())
	err = driver.Create(t.Context(), "copy", "base", drivers.CreateOptions{})
	wantErr(t, err, model.ErrNoSpace)
	if ids, err := driver.List(t.Context()); err != nil || fmt.Sprint(ids) != "[base]" {
		t.Errorf("layers are %q, %v", ids, err)
	}
}

func TestLinksAreNotTakenForLayers(t *testing.T) {
	driver, base := open(t, t.TempDir())
	link := filepath.Join(filepath.Dir(base), "link")
	must(t, os.Symlink(base, link))
	if exists, err := driver.Exists(t.Context(), "link"); err != nil || exists {
		t.Errorf("a link is taken for a layer: %v, %v", exists, err)
	}
	_, err := driver.Mount(t.Context(), "link", drivers.MountOptions{})
	wantErr(t, err, model.ErrLayerUnknown)
	wantErr(t, driver.Create(t.Context(), "new", "link", drivers.CreateOptions{}), model.ErrLayerUnknown)
	must(t, driver.Remove(t.Context(), "link"))
	if _, err := os.Lstat(base); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("link is left: %v", err)
	}
}

// wantErr checks what an error matches.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
