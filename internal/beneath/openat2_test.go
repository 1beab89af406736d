package beneath_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestDirStaysBeneath(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/a/b", root+"/etc", root+filepath.Dir(outside)+"/outside")
	write(t, root+"/file", "")
	symlink(t, "/etc", root+"/absolute")
	symlink(t, "../../../../../etc", root+"/a/up")
	symlink(t, outside, root+"/escape")
	symlink(t, "loop2", root+"/loop1")
	symlink(t, "loop1", root+"/loop2")
	symlink(t, "/proc/self/root", root+"/magic")
	dir := open(t, root)

	tests := []struct {
		name, want string
		err        error
	}{
		{name: "", want: "."},
		{name: ".", want: "."},
		{name: "a/b", want: "a/b"},
		{name: "a/b/../..", want: "."},
		{name: "../..", want: "."},
		{name: "/a", want: "a"},
		{name: "absolute", want: "etc"},
		{name: "a/up", want: "etc"},
		{name: "escape", want: filepath.Join(".", outside)},
		{name: "file", err: unix.ENOTDIR},
		{name: "file/x", err: unix.ENOTDIR},
		{name: "none", err: unix.ENOENT},
		{name: "magic", err: unix.ENOENT},
		{name: "loop1", err: unix.ELOOP},
		{name: "a\x00b", err: unix.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := dir.Dir(tt.name)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			defer got.Close()
			if inode(t, got) != inode(t, open(t, filepath.Join(root, tt.want))) {
				t.Errorf("got another directory than %q", tt.want)
			}
		})
	}
}

func TestMagicLinksAreNotFollowed(t *testing.T) {
	dir := open(t, "/proc/self")
	for _, name := range []string{"root", "cwd/."} {
		if _, err := dir.Dir(name); !errors.Is(err, unix.ELOOP) {
			t.Errorf("%q: got %v, want %v", name, err, unix.ELOOP)
		}
	}
}

func TestPlainDirRefusesSymbolicLinks(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/a/b")
	symlink(t, "a", root+"/link")
	dir := open(t, root)
	for name, want := range map[string]error{"link": unix.ELOOP, "link/b": unix.ELOOP, "a/../../root": unix.EXDEV} {
		if _, err := dir.PlainDir(name); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
	if found, err := dir.PlainDir("a/b"); err != nil || inode(t, found) != inode(t, open(t, root+"/a/b")) {
		t.Errorf("a/b is not found: %v", err)
	}
}

func TestRegularOpensRegularFilesOnly(t *testing.T) {
	root, outside := house(t)
	mkdirs(t, root+"/dir")
	write(t, root+"/dir/file", "content")
	symlink(t, "file", root+"/dir/link")
	symlink(t, "/dir", root+"/dirlink")
	symlink(t, outside, root+"/escape")
	if err := unix.Mkfifo(root+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(root+"/socket", unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	dir := open(t, root)
	before := descriptors(t)
	for name, want := range map[string]error{
		"dir":                  model.ErrInvalid,
		"dir/link":             model.ErrInvalid,
		"fifo":                 model.ErrInvalid, // opening it would wait for a writer
		"socket":               model.ErrInvalid,
		"escape/secret":        unix.ENOENT,
		"../outside/secret":    unix.ENOENT,
		"dir/../../../secret":  unix.ENOENT,
		"dir/file/":            unix.ENOTDIR,
		"":                     model.ErrInvalid,
		outside + "/secret":    unix.ENOENT,
		"dirlink/../../secret": unix.ENOENT,
	} {
		if file, err := dir.Regular(name); !errors.Is(err, want) {
			t.Errorf("%q: got %v, %v; want error %v", name, file, err, want)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
	for _, name := range []string{"dir/file", "dirlink/file", "/dir/file", "../dir/file"} {
		wantContent(t, name, "content")(dir.Regular(name))
	}
}

func TestRegularNeverOpensADevice(t *testing.T) {
	testutil.NeedRoot(t)
	root, _ := house(t)
	// A device without a driver: opening it fails with ENXIO or ENODEV, while
	// an answer that comes before opening is ErrInvalid.
	for name, mode := range map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK} {
		if err := unix.Mknod(filepath.Join(root, name), mode|0o600, int(unix.Mkdev(4000, 1))); err != nil {
			t.Fatal(err)
		}
		dir := open(t, root)
		if _, err := dir.Regular(name); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, model.ErrInvalid)
		}
		if _, err := dir.RegularEntry(name); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, model.ErrInvalid)
		}
	}
}

func TestRegularEntryTakesNoPath(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/dir")
	write(t, root+"/dir/file", "content")
	dir := open(t, root)
	for _, name := range []string{"dir/file", "..", "", "../outside/secret", "/etc/passwd", "a\x00"} {
		if _, err := dir.RegularEntry(name); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%q: got %v, want %v", name, err, model.ErrInvalid)
		}
	}
	sub, err := dir.Enter("dir")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	wantContent(t, "file", "content")(sub.RegularEntry("file"))
}

// wantContent checks what opening a file returned.
func wantContent(t *testing.T, name, want string) func(*os.File, error) {
	t.Helper()
	return func(file *os.File, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%q: %v", name, err)
			return
		}
		defer file.Close()
		if content, err := io.ReadAll(file); err != nil || string(content) != want {
			t.Errorf("%q: got %q, %v", name, content, err)
		}
	}
}

func TestResolutionSurvivesRenames(t *testing.T) {
	root, _ := house(t)
	mkdirs(t, root+"/a/b/c", root+"/x")
	write(t, root+"/file", "content")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Rename(root+"/x", root+"/y")
				_ = os.Rename(root+"/y", root+"/x")
			}
		}
	}()
	defer func() { close(stop); <-done }()
	dir := open(t, root)
	for range 2000 {
		// ".." makes the kernel check for renames in the whole system.
		wantContent(t, "file", "content")(dir.Regular("a/b/c/../../../file"))
	}
}

// TestOldKernelGivesAClearError lets openat2 fail in one thread as it does
// where it does not exist.
func TestOldKernelGivesAClearError(t *testing.T) {
	root, _ := house(t)
	write(t, root+"/file", "")
	dir := open(t, root)
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its filter
		if err := forbidOpenat2(); err != nil {
			result <- err
			return
		}
		_, err := dir.Regular("file")
		result <- err
	}()
	err := <-result
	if errors.Is(err, unix.EINVAL) {
		testutil.Missing(t, "seccomp filters")
	}
	if !errors.Is(err, model.ErrUnsupported) {
		t.Fatalf("got %v, want %v", err, model.ErrUnsupported)
	}
}

// forbidOpenat2 makes openat2 fail with ENOSYS in the calling thread
// (seccomp(2)).
func forbidOpenat2() error {
	const (
		loadNumber = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS // of the system call, at offset 0
		jumpEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret        = unix.BPF_RET | unix.BPF_K
	)
	filter := []unix.SockFilter{
		{Code: loadNumber},
		{Code: jumpEqual, K: unix.SYS_OPENAT2, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}
