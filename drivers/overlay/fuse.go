package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// The option "mount_program" names a program that makes overlays by FUSE, such
// as fuse-overlayfs(1). It is called as
//
//	PROGRAM -o lowerdir=…,upperdir=…,workdir=… DIRECTORY
//
// in the home, and returns when the overlay is mounted; a process of it stays for
// as long as the mount is used. It reads what the kernel and what Unpack write,
// but writes deletions in forms that the kernel takes for files.

const (
	// markFile says that layers of the home may have been written by a mount
	// program. containers/storage keeps the same file.
	markFile = ".has-mount-program"
	marked   = "true"
	// showOverrides makes fuse-overlayfs(1) show, and write, what files should
	// be as archive.OverrideAttr says.
	showOverrides = "xattr_permissions=2"
	// defaultProgram is looked for where a home is marked and no program is
	// configured.
	defaultProgram = "fuse-overlayfs"
)

// program returns the path of the mount program to use, "" if the kernel is to
// mount. Layers that such a program has written are never given to the kernel.
func (o *options) program(home *at.Dir) (string, error) {
	if o.mountProgram != "" {
		return o.mountProgram, nil
	}
	isMarked, err := hasMark(home, markFile)
	if err != nil || !isMarked {
		return "", err
	}
	path, err := exec.LookPath(defaultProgram)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errMarked, err)
	}
	return path, nil
}

// errMarked means that the kernel would show layers wrongly.
var errMarked = fmt.Errorf("%w: the layers were made by a mount program; name it by the option %q",
	model.ErrDriverPrerequisites, "mount_program")

// checkMark reports whether the layers of a home may be given to the kernel. That
// of another store may be marked; and the driver's own may be by now, if another
// process has given layers to a mount program since the driver was opened.
func (d *Driver) checkMark(home *drivers.LayerDirs) error {
	if d.helper != "" {
		return nil
	}
	isMarked, err := hasMark(home.Dir, markFile)
	if err == nil && isMarked {
		err = errMarked
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", home.Path("."), err)
	}
	return err
}

// noteProgram marks the home before a mount program can write to it for the first
// time.
func (d *Driver) noteProgram() error {
	if d.helper == "" {
		return nil
	}
	return noteOnce(d.layers.Dir, markFile)
}

// noteOnce makes a mark unless it is there.
func noteOnce(home *at.Dir, name string) error {
	isMarked, err := hasMark(home, name)
	if err != nil || isMarked {
		return err
	}
	return mark(home, name)
}

// setMountProgram reads the option. The program has to exist.
func (o *options) setMountProgram(path string) error {
	o.mountProgram = path
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("option %s=%q is not an absolute path: %w", "mount_program", path, model.ErrInvalid)
	}
	stat, err := os.Stat(path)
	if err == nil && (!stat.Mode().IsRegular() || stat.Mode()&0o111 == 0) {
		err = errors.New("not a program")
	}
	if err != nil {
		return fmt.Errorf("option %s=%q: %w: %w", "mount_program", path, model.ErrInvalid, err)
	}
	return nil
}

// hasMark tells whether a file in the home says "true".
func hasMark(home *at.Dir, name string) (bool, error) {
	const limit = 100 // bytes; the mark is "true" or "false"
	content, err := home.ReadFile(name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.TrimSpace(string(content)) == marked, err
}

// mark makes such a file, before what it is about happens. It must not be lost where
// the layers are kept. A home that can only be read needs none.
func mark(home *at.Dir, name string) error {
	temp := name + ".new"
	err := home.Remove(temp)
	if err == nil {
		err = home.WriteFile(temp, []byte(marked), 0o600)
	}
	if err == nil {
		err = home.Rename(temp, name)
	}
	if err == nil {
		err = os.NewSyscallError("syncfs", unix.Syncfs(home.Fd()))
	}
	if errors.Is(err, unix.EROFS) {
		return nil
	}
	return err
}

// fuseMounter mounts by a mount program.
type fuseMounter struct {
	program string
	// scratch is a directory for mount points of detached mounts.
	scratch string
}

// attach implements mounter.
func (m fuseMounter) attach(ctx context.Context, s *stack, dir *at.Dir, name string) error {
	if isDir, err := dir.IsDir(name); err != nil || !isDir {
		return errors.Join(&os.PathError{Op: "mount", Path: dir.Path(name), Err: unix.ENOTDIR}, err)
	}
	if err := m.mount(ctx, s, dir.Path(name)); err != nil {
		return err
	}
	target := dir.ProcPath() + "/" + name
	if err := unix.Mount("", target, "", s.options.propagation, ""); err != nil {
		return errors.Join(&os.PathError{Op: "mount", Path: dir.Path(name), Err: err}, detach(dir))
	}
	return nil
}

// detached implements mounter: what is mounted stays reachable through a
// descriptor after it has been unmounted lazily.
func (m fuseMounter) detached(ctx context.Context, s *stack) (*os.File, error) {
	return onScratch(m.scratch, func(target string) error { return m.mount(ctx, s, target) })
}

// mount runs the program.
func (m fuseMounter) mount(ctx context.Context, s *stack, target string) error {
	data := strings.Join(append(s.options.names(), s.data(m.name)), ",")
	command := exec.CommandContext(ctx, m.program, "-o", data, target)
	command.Dir = s.home.Path(".")
	// A pipe would stay open for as long as the process that serves the mount.
	messages, err := memory("messages of " + filepath.Base(m.program))
	if err != nil {
		return err
	}
	defer messages.Close()
	command.Stderr = messages
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s -o %s %s: %w%s", m.program, data, target, err, said(messages))
	}
	// A program that is none for this purpose may succeed too.
	if isMountPoint, err := isFuse(target); err != nil || !isMountPoint {
		return errors.Join(fmt.Errorf("%s -o %s %s: nothing is mounted%s", m.program, data, target, said(messages)), err)
	}
	return nil
}

// name returns how the program finds one of the stack's directories. It looks
// from the home. The name of another store's home may have characters that mean
// something to the program, for which not all have escapes; then the descriptor
// that this process has is named.
func (m fuseMounter) name(c content) string {
	if hasEscapes(c.short) {
		return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), c.Fd())
	}
	return c.short
}

// isFuse tells whether a FUSE file system is mounted at a path.
func isFuse(path string) (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return false, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return stat.Type == unix.FUSE_SUPER_MAGIC, nil
}

// memory returns a file without a place on any disk.
func memory(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// said returns what a program has written, as the end of an error.
func said(messages *os.File) string {
	const limit = 4096 // bytes
	text, err := io.ReadAll(io.NewSectionReader(messages, 0, limit))
	if err != nil || len(text) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(text))
}

// names returns the flags as options of mount(8), those that libfuse knows.
func (m *mountOptions) names() []string {
	names := make([]string, 0, 8)
	for _, flag := range []struct {
		bit  uintptr
		name string
	}{
		{unix.MS_RDONLY, "ro"},
		{unix.MS_NOSUID, "nosuid"},
		{unix.MS_NODEV, "nodev"},
		{unix.MS_NOEXEC, "noexec"},
		{unix.MS_SYNCHRONOUS, "sync"},
		{unix.MS_DIRSYNC, "dirsync"},
		{unix.MS_NODIRATIME, "nodiratime"},
	} {
		if m.flags&flag.bit != 0 {
			names = append(names, flag.name)
		}
	}
	if m.flags&unix.MS_NODEV == 0 {
		names = append(names, "dev") // libfuse would say "nodev"
	}
	return names
}

// applyMounted unpacks the entries of src onto a layer that is mounted for that
// where nobody sees it.
func (d *Driver) applyMounted(ctx context.Context, id string, src archive.Source, opts archive.UnpackOptions) (unpacked archive.Unpacked, err error) {
	layer, err := d.find(id)
	if err != nil {
		return archive.Unpacked{}, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	options := mountOptions{propagation: unix.MS_PRIVATE}
	if d.forcesOwn() {
		options.add(showOverrides)
	}
	s, err := d.openStack(ctx, layer, options)
	if err != nil {
		return archive.Unpacked{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	root, err := d.mounter.detached(ctx, s)
	if err != nil {
		return archive.Unpacked{}, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := d.noteProgram(); err != nil {
		return archive.Unpacked{}, err
	}
	opts.Whiteouts = archive.WhiteoutsApplied
	path := fmt.Sprintf("/proc/self/fd/%d", root.Fd())
	if unpacked, err = archive.Unpack(ctx, path, src, opts); err != nil {
		return unpacked, err
	}
	return unpacked, syncFS(path)
}

// syncFS writes what the kernel holds back for the file system at a path.
func syncFS(path string) (err error) {
	root, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(root.Fd())))
}
