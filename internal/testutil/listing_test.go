package testutil_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
)

// A change of one file that a listing has to notice. Times that it changes as
// well are set back, unless they are what it is about.
type change struct {
	name     string
	path     string
	needRoot bool
	ofTime   bool
	do       func(path string) error
}

var changes = []change{
	{name: "content of the same length", path: "files/one-block", do: func(path string) error {
		return os.WriteFile(path, make([]byte, 512), 0)
	}},
	{name: "last byte of a large file", path: "files/large", do: func(path string) error {
		return writeAt(path, 5<<20+2)
	}},
	{name: "byte in a hole", path: "files/sparse", do: func(path string) error { return writeAt(path, 5<<20) }},
	{name: "size", path: "files/hole", do: func(path string) error { return os.Truncate(path, 3<<20-1) }},
	{name: "permission", path: "modes/file-0777", do: func(path string) error { return unix.Chmod(path, 0o776) }},
	{name: "set-id bit", path: "modes/file-4755", do: func(path string) error { return unix.Chmod(path, 0o755) }},
	{name: "sticky bit", path: "modes/dir-1777", do: func(path string) error { return unix.Chmod(path, 0o777) }},
	{name: "user", path: "files/empty", needRoot: true, do: func(path string) error { return os.Lchown(path, 1, -1) }},
	{name: "group of a symbolic link", path: "links/relative", needRoot: true, do: func(path string) error {
		return os.Lchown(path, -1, 1)
	}},
	{name: "nanosecond", path: "times/epoch", ofTime: true, do: func(path string) error {
		return setTime(path, time.Unix(0, 1))
	}},
	{name: "second before the epoch", path: "times/before-epoch", ofTime: true, do: func(path string) error {
		return setTime(path, time.Unix(-2, 500_000_000))
	}},
	{name: "time of a folder", path: "links/elsewhere", ofTime: true, do: func(path string) error {
		return setTime(path, time.Unix(1, 0))
	}},
	{name: "time of a symbolic link", path: "links/dangling", ofTime: true, do: func(path string) error {
		return setTime(path, time.Unix(1, 0))
	}},
	{name: "target of a symbolic link", path: "links/dangling", do: func(path string) error {
		return replace(path, func() error { return os.Symlink("no/such/fild", path) })
	}},
	{name: "number of a device", path: "types/null", needRoot: true, do: func(path string) error {
		return replace(path, func() error { return mknod(path, unix.S_IFCHR|0o666, 1, 4) })
	}},
	{name: "character or block device", path: "types/null", needRoot: true, do: func(path string) error {
		return replace(path, func() error { return mknod(path, unix.S_IFBLK|0o666, 1, 3) })
	}},
	{name: "type", path: "types/socket", do: func(path string) error {
		return replace(path, func() error { return mknod(path, unix.S_IFIFO|0o755, 0, 0) })
	}},
	{name: "value of an attribute", path: "xattrs/binary", do: func(path string) error {
		return unix.Lsetxattr(path, "user.bytes", []byte("\x00\xff=\x01"), 0)
	}},
	{name: "attribute added", path: "modes/dir-0700", do: func(path string) error {
		return unix.Lsetxattr(path, "user.new", nil, 0)
	}},
	{name: "capability removed", path: "xattrs/capable", needRoot: true, do: func(path string) error {
		return unix.Lremovexattr(path, "security.capability")
	}},
	{name: "link replaced by a copy", path: "links/elsewhere/c", do: func(path string) error {
		return replace(path, func() error { return os.WriteFile(path, []byte("several names"), 0o644) })
	}},
	{name: "file removed", path: "names/\xff\xfe not UTF-8", do: os.Remove},
	{name: "file added", path: "names/sort/another", do: func(path string) error {
		return os.WriteFile(path, nil, 0o644)
	}},
	{name: "file renamed", path: "names/case", do: func(path string) error { return os.Rename(path, path+" ") }},
}

func TestSnapshotNoticesEveryChange(t *testing.T) {
	dir := t.TempDir()
	testutil.OddTree(t, dir)
	before := testutil.Snapshot(t, dir)
	if again := testutil.Snapshot(t, dir); !cmp.Equal(before, again) {
		t.Fatalf("notices what has not changed:\n%s", cmp.Diff(before, again))
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			if change.needRoot {
				testutil.NeedRoot(t)
			}
			path := filepath.Join(dir, change.path)
			times := timesOf(t, path, filepath.Dir(path))
			if err := change.do(path); err != nil {
				t.Fatal(err)
			}
			if !change.ofTime {
				setTimes(t, times)
			}
			after := testutil.Snapshot(t, dir)
			if cmp.Equal(before, after) {
				t.Error("the listing does not tell it")
			}
			if cmp.Equal(before.Lines(), after.Lines()) {
				t.Error("the lines do not tell it")
			}
			before = after
		})
	}
}

func TestDescribeHasALineForEachName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		write(t, filepath.Join(dir, name), name)
		if err := setTime(filepath.Join(dir, name), time.Unix(1, 2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	lines := testutil.Describe(t, dir)
	if len(lines) != 4 {
		t.Fatalf("got %q", lines)
	}
	owner := fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid())
	want := `"a" file 0600 ` + owner + ` 1970-01-01T00:00:01.000000002Z size=1 ` +
		`sha256="ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"`
	if lines[1] != want {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	if want := `"c" symlink 0777 ` + owner; !strings.HasPrefix(lines[3], want) || !strings.HasSuffix(lines[3], ` target="a"`) {
		t.Errorf("got %s", lines[3])
	}
}

// timesOf returns the times of those of the files that exist.
func timesOf(t *testing.T, paths ...string) map[string]time.Time {
	t.Helper()
	times := make(map[string]time.Time)
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err == nil {
			times[path] = info.ModTime()
		}
	}
	return times
}

func setTimes(t *testing.T, times map[string]time.Time) {
	t.Helper()
	for path, when := range times {
		// A file that was removed has none any more.
		if err := setTime(path, when); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func writeAt(path string, offset int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt([]byte{'x'}, offset)
	return err
}

func setTime(path string, when time.Time) error {
	spec := unix.Timespec{Sec: when.Unix(), Nsec: int64(when.Nanosecond())}
	err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{spec, spec}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &fs.PathError{Op: "utimensat", Path: path, Err: err}
	}
	return nil
}

func replace(path string, create func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return create()
}

func mknod(path string, mode, major, minor uint32) error {
	err := unix.Mknod(path, mode, int(unix.Mkdev(major, minor)))
	return errors.Join(err, unix.Chmod(path, mode&0o7777)) // whatever the umask is
}
