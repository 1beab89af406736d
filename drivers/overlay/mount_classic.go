package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers/internal/at"
)

// classicMounter mounts by mount(2), which takes all options as one text of
// less than a page.
type classicMounter struct {
	// scratch is a directory for mount points of detached mounts.
	scratch string
}

// maxMountData is the greatest length of mount data: mount(2) copies a page,
// whatever its size, of which the last byte is a NUL.
const maxMountData = 4096 - 1

// attach implements mounter.
func (classicMounter) attach(_ context.Context, s *stack, dir *at.Dir, name string) error {
	target := dir.ProcPath() + "/" + name
	// mount(2) follows links; Mount has made sure that there is none, and
	// this finds out whether that still holds.
	if isDir, err := dir.IsDir(name); err != nil || !isDir {
		return errors.Join(&os.PathError{Op: "mount", Path: dir.Path(name), Err: unix.ENOTDIR}, err)
	}
	if err := mountClassic(s, target); err != nil {
		return err
	}
	if err := unix.Mount("", target, "", s.options.propagation, ""); err != nil {
		return errors.Join(&os.PathError{Op: "mount", Path: dir.Path(name), Err: err}, detach(dir))
	}
	return nil
}

// detached implements mounter: what is mounted stays reachable through a
// descriptor after it has been unmounted lazily.
func (m classicMounter) detached(_ context.Context, s *stack) (*os.File, error) {
	return onScratch(m.scratch, func(target string) error { return mountClassic(s, target) })
}

// onScratch calls mount with a mount point of its own below scratch, and returns
// what is mounted there, where nobody else finds it.
func onScratch(scratch string, mount func(target string) error) (root *os.File, err error) {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, err
	}
	target, err := os.MkdirTemp(scratch, "view-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(target)) }()
	if err := mount(target); err != nil {
		return nil, err
	}
	// Keep the way in, and let nobody else find it.
	root, err = os.OpenFile(target, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err := errors.Join(err, unix.Unmount(target, unix.MNT_DETACH)); err != nil {
		return nil, err
	}
	return root, nil
}

// mountClassic mounts the stack at target, naming its directories in the first
// way that fits into a page: by absolute paths, by short names in the home
// (those in other homes by absolute paths), or by descriptors. A name with a
// character that means something in mount data does not fit.
func mountClassic(s *stack, target string) error {
	mount := func(data string) error {
		if err := unix.Mount(fsType, target, fsType, s.options.flags, data); err != nil {
			return fmt.Errorf("mount -t overlay -o %s: %w", data, err)
		}
		return nil
	}
	absolute := s.data(s.absolute)
	if len(absolute) <= maxMountData && s.isPlain(s.absolute) {
		return mount(absolute)
	}
	short := func(c content) string { return c.short }
	relative := s.data(short)
	if len(relative) <= maxMountData && s.isPlain(short) {
		return inDirectory(s.home.ProcPath(), func() error { return mount(relative) })
	}
	numbers := s.data(func(c content) string { return strconv.Itoa(c.Fd()) })
	if len(numbers) <= maxMountData {
		return inDirectory("/proc/self/fd", func() error { return mount(numbers) })
	}
	return fmt.Errorf("mount options of %d bytes: %w", len(numbers), unix.E2BIG)
}

// absolute returns an absolute path of one of the stack's directories.
func (s *stack) absolute(c content) string {
	if filepath.IsAbs(c.short) {
		return c.short
	}
	return s.home.Path(c.short)
}

// isPlain tells whether no directory's name needs escapes in mount data.
func (s *stack) isPlain(name func(content) string) bool {
	needs := func(c content) bool { return hasEscapes(name(c)) }
	if s.upper != nil && (needs(*s.upper) || needs(*s.work)) {
		return false
	}
	return !slices.ContainsFunc(s.lowers, needs)
}

// hasEscapes tells whether a name has characters that mean something in mount
// data.
func hasEscapes(name string) bool { return strings.ContainsAny(name, `\:,"`) }

// data returns the mount data, with the stack's directories as name calls
// them.
func (s *stack) data(name func(content) string) string {
	lowers := make([]string, len(s.lowers))
	for i, lower := range s.lowers {
		lowers[i] = name(lower)
	}
	options := []string{"lowerdir=" + strings.Join(lowers, ":")}
	if s.upper != nil {
		options = append(options, "upperdir="+name(*s.upper), "workdir="+name(*s.work))
	}
	for _, option := range s.options.data {
		if key, value, found := strings.Cut(option, "="); found && strings.Contains(value, ",") {
			option = key + `="` + value + `"` // an SELinux label with categories
		}
		options = append(options, option)
	}
	return strings.Join(options, ",")
}

// inDirectory calls f on a thread whose working directory is dir. The threads
// of a process share one; so a thread of its own gives its share up, and ends
// with its goroutine, which never unlocks it.
func inDirectory(dir string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread stands for the process in /proc and must not
			// change. While this goroutine holds it, another gets another.
			defer runtime.UnlockOSThread()
			result <- inDirectory(dir, f)
			return
		}
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			result <- os.NewSyscallError("unshare", err)
			return
		}
		if err := unix.Chdir(dir); err != nil {
			result <- &os.PathError{Op: "chdir", Path: dir, Err: err}
			return
		}
		result <- f()
	}()
	return <-result
}
