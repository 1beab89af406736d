package testutil_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

// magic are the numbers by which statfs(2) names the kinds of file system.
func magic(t *testing.T, kind string) int64 {
	t.Helper()
	switch kind {
	case "ext4":
		return unix.EXT4_SUPER_MAGIC
	case "xfs":
		return unix.XFS_SUPER_MAGIC
	case "btrfs":
		return unix.BTRFS_SUPER_MAGIC
	case "tmpfs":
		return unix.TMPFS_MAGIC
	}
	t.Fatalf("unknown file system %q", kind)
	return 0
}

func checkKind(t *testing.T, dir, kind string) {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Type != magic(t, kind) {
		t.Errorf("%s is of type %#x, not %s", dir, stat.Type, kind)
	}
}

// checkGone checks that neither the mount nor the folder is left.
func checkGone(t *testing.T, dir string) {
	t.Helper()
	if mounted, err := mountinfo.Mounted(dir); mounted {
		t.Errorf("%s is still mounted (%v)", dir, err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s still exists (%v)", dir, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoopMountIsAnEmptyFileSystemUntilTheTestEnds(t *testing.T) {
	for _, kind := range testutil.Filesystems() {
		t.Run(kind, func(t *testing.T) {
			var dir string
			t.Run("mounted", func(t *testing.T) {
				dir = testutil.LoopMount(t, kind)
				checkKind(t, dir, kind)
				if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
					t.Errorf("a new file system holds %v (%v)", entries, err)
				}
				write(t, filepath.Join(dir, "file"), "content")
			})
			if dir != "" {
				checkGone(t, dir)
			}
		})
	}
}

func TestTmpfsIsMountedUntilTheTestEnds(t *testing.T) {
	var dir string
	t.Run("mounted", func(t *testing.T) {
		dir = testutil.Tmpfs(t)
		checkKind(t, dir, "tmpfs")
	})
	if dir != "" {
		checkGone(t, dir)
	}
}

func TestLoopMountRefusesUnknownFileSystems(t *testing.T) {
	testutil.NeedRoot(t)
	r := record(t.Context(), func(t testing.TB) { testutil.LoopMount(t, "unicornfs") })
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "unicornfs") {
		t.Errorf("failures %q", r.failures)
	}
}

func TestWhatTheKernelMayLackSkipsATest(t *testing.T) {
	testutil.NeedRoot(t)
	t.Setenv("CI", "true")
	for lack, skipped := range map[string]bool{"unicorns": true, "": false} {
		got := record(t.Context(), func(t testing.TB) {
			testutil.Loop{FS: "ext4", Data: "unicorns=2", KernelMayLack: lack}.Mount(t)
		})
		if (len(got.skips) == 1) != skipped || (len(got.failures) == 1) == skipped {
			t.Errorf("%q: skips %q, failures %q", lack, got.skips, got.failures)
		}
	}
}

func TestLoopMountsAtTheSameTimeDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	for range 6 {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			dir := testutil.Loop{FS: "ext4", Size: 16 << 20}.Mount(t).Dir()
			write(t, filepath.Join(dir, "mine"), dir)
			if content, err := os.ReadFile(filepath.Join(dir, "mine")); string(content) != dir {
				t.Errorf("read %q, %v", content, err)
			}
			if entries := names(t, dir); len(entries) != 1 {
				t.Errorf("holds %q", entries)
			}
		})
	}
}

// All ask for the device that is free at that moment, and one gets it.
func TestLoopDevicesAreWonByEveryContender(t *testing.T) {
	testutil.NeedRoot(t)
	image, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if err := image.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	var contenders sync.WaitGroup
	for range 8 {
		contenders.Go(func() {
			for range 10 {
				device, err := testutil.Attach(image, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if err := device.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	contenders.Wait()
}

func TestLoopDeviceIsFreeAfterwards(t *testing.T) {
	var file, image string
	t.Run("mounted", func(t *testing.T) {
		dir := testutil.LoopMount(t, "ext4")
		infos, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(dir))
		if err != nil || len(infos) != 1 {
			t.Fatalf("mounts: %v, %v", infos, err)
		}
		file = filepath.Join("/sys/block", filepath.Base(infos[0].Source), "loop/backing_file")
		image = backingFile(t, file)
		if !strings.Contains(image, "csdb-image-") {
			t.Fatalf("%s holds %q", file, image)
		}
	})
	if now := backingFile(t, file); image != "" && now == image {
		t.Errorf("%s still holds %q", file, now)
	}
}

// backingFile returns what the file in sysfs says, or "" if it is gone because
// the device is free.
func backingFile(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENXIO) {
		t.Fatal(err)
	}
	return string(content)
}

func TestMountsThatAreLeftOverFailTheTestAndGo(t *testing.T) {
	testutil.NeedRoot(t)
	elsewhere := t.TempDir()
	tests := map[string]func(t *testing.T, dir string){
		"below": func(t *testing.T, dir string) {
			t.Helper()
			mount(t, "tmpfs", filepath.Join(dir, "a"), "tmpfs", 0, "")
			mount(t, "tmpfs", filepath.Join(dir, "a", "b"), "tmpfs", 0, "")
		},
		"bound elsewhere": func(t *testing.T, dir string) {
			t.Helper()
			mount(t, dir, filepath.Join(elsewhere, "bind"), "", unix.MS_BIND, "")
		},
		"overlay on a folder of it": func(t *testing.T, dir string) {
			t.Helper()
			mountOverlay(t, filepath.Join(elsewhere, "overlay"), filepath.Join(dir, "lower"), t.TempDir())
		},
		"overlay on another folder first": func(t *testing.T, dir string) {
			t.Helper()
			mountOverlay(t, filepath.Join(elsewhere, "overlay"), t.TempDir(), filepath.Join(dir, "lower"))
		},
	}
	for name, leave := range tests {
		for _, tolerant := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				var dir string
				r := record(t.Context(), func(r testing.TB) {
					dir = testutil.Loop{FS: "ext4", Size: 16 << 20, LeaveMounts: tolerant}.Mount(r).Dir()
					leave(t, dir)
				})
				if want := !tolerant; strings.Contains(strings.Join(r.failures, "\n"), "still mounted") != want {
					t.Errorf("tolerant %t: failures %q", tolerant, r.failures)
				}
				checkGone(t, dir)
				if left := mountsBelow(t, elsewhere); len(left) > 0 {
					t.Errorf("left: %q", left)
				}
			})
		}
	}
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := os.MkdirAll(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mount %s on %s: %v", source, target, err)
	}
}

func mountOverlay(t *testing.T, target string, lowers ...string) {
	t.Helper()
	for _, lower := range lowers {
		if err := os.MkdirAll(lower, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, "overlay", target, "overlay", 0, "lowerdir="+strings.Join(lowers, ":"))
}

func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	infos, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, info := range infos {
		paths = append(paths, info.Mountpoint)
	}
	return paths
}

func TestABusyFileSystemIsAnError(t *testing.T) {
	testutil.NeedRoot(t)
	var dir string
	var busy *os.File
	r := record(t.Context(), func(r testing.TB) {
		dir = testutil.Loop{FS: "ext4", Size: 16 << 20}.Mount(r).Dir()
		var err error
		if busy, err = os.Create(filepath.Join(dir, "open")); err != nil {
			r.Fatal(err)
		}
	})
	defer busy.Close()
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "busy") {
		t.Errorf("failures %q", r.failures)
	}
	checkGone(t, dir)
}

func TestPowerCutKeepsWhatWasSyncedAndLosesTheRest(t *testing.T) {
	for kind, data := range map[string]string{"ext4": "commit=300", "xfs": ""} {
		t.Run(kind, func(t *testing.T) {
			disk := testutil.Loop{FS: kind, Data: data}.Mount(t)
			synced := filepath.Join(disk.Dir(), "synced")
			write(t, synced, "here")
			if root, err := os.Open(disk.Dir()); err != nil || unix.Syncfs(int(root.Fd())) != nil || root.Close() != nil {
				t.Fatalf("sync: %v", err)
			}
			write(t, filepath.Join(disk.Dir(), "not synced"), "gone")
			disk.PowerCut(t)
			checkKind(t, disk.Dir(), kind)
			if content, err := os.ReadFile(synced); string(content) != "here" {
				t.Errorf("synced file: %q, %v", content, err)
			}
			if diff := cmp.Diff([]string{"synced"}, names(t, disk.Dir())); diff != "" {
				t.Errorf("after the power cut (-want +got):\n%s", diff)
			}
			write(t, filepath.Join(disk.Dir(), "after"), "works")
		})
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestSteadyDiskHasAllItsBlocks(t *testing.T) {
	const size = 64 << 20
	for _, test := range []struct {
		steady bool
		least  int64
		most   int64
	}{
		{false, 0, size / 2},
		{true, size, 2 * size},
	} {
		disk := testutil.Loop{FS: "ext4", Size: size, Mkfs: []string{"-E", "nodiscard"}, Steady: test.steady}.Mount(t)
		got, err := disk.ImageBytes()
		if err != nil || got < test.least || got > test.most {
			t.Errorf("steady %t: the image takes %d bytes (%v), want %d to %d", test.steady, got, err, test.least, test.most)
		}
	}
}

func TestNothingStaysMountedAfterAKill(t *testing.T) {
	testutil.NeedRoot(t)
	testutil.NeedTool(t, "mkfs.ext4")
	child := testutil.Child(t, "mount")
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(line)
	checkKind(t, dir, "ext4")
	write(t, filepath.Join(dir, "file"), "so that it is not empty")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testutil.Eventually(t, "the folder has been removed", func() bool { _, err := os.Lstat(dir); return err != nil })
	checkGone(t, dir)
}
