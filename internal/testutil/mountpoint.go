package testutil

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// unmountAttempts is how often a mount may be found busy, for instance because a
// killed child is not quite gone. They are made every 10 ms; the time itself may
// pass while nothing runs at all.
const unmountAttempts = 300

// mountpoint is a folder with a file system mounted on it.
type mountpoint struct {
	dir   string
	guard *guard
}

// newMountpoint makes a folder with a short and plain path, which leaves room
// in the page that mount(2) has for the options of an overlay.
func newMountpoint(kind string) (*mountpoint, error) {
	parent, err := filepath.EvalSymlinks(os.TempDir()) // as the kernel lists it
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "csdb-"+kind+"-")
	if err != nil {
		return nil, err
	}
	guard, err := newGuard(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &mountpoint{dir: dir, guard: guard}, nil
}

// mount mounts a file system on the folder.
func (m *mountpoint) mount(source, fs, data string) error {
	err := unix.Mount(source, m.dir, fs, 0, data)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("mount %s (%s) on %s with %q: %w", source, fs, m.dir, data, err)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %w", errCannotMount, err)
	}
	return err
}

// leftovers are the mounts that keep the file system busy, the last one first:
// those below the folder, those of the same file system elsewhere, and those
// of overlays made of folders in it.
func (m *mountpoint) leftovers() ([]string, error) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	own := slices.IndexFunc(mounts, func(i *mountinfo.Info) bool { return i.Mountpoint == m.dir })
	var left []string
	for _, info := range mounts {
		below := strings.HasPrefix(info.Mountpoint, m.dir+"/")
		same := own >= 0 && info.Mountpoint != m.dir &&
			info.Major == mounts[own].Major && info.Minor == mounts[own].Minor
		if below || same || usesFolderIn(info, m.dir) {
			left = append(left, info.Mountpoint)
		}
	}
	slices.Reverse(left)
	return left, nil
}

// usesFolderIn tells whether the mount is an overlay made of folders in dir.
func usesFolderIn(info *mountinfo.Info, dir string) bool {
	return info.FSType == "overlay" &&
		(strings.Contains(info.VFSOptions, "="+dir+"/") || strings.Contains(info.VFSOptions, ":"+dir+"/"))
}

// unmountLeftovers unmounts what leftovers lists and returns it.
func (m *mountpoint) unmountLeftovers() ([]string, error) {
	left, err := m.leftovers()
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		// Lazily, for it may be busy, and it may be gone with the one before.
		unmountErr := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if unmountErr != nil && !errors.Is(unmountErr, unix.EINVAL) && !errors.Is(unmountErr, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", path, unmountErr))
		}
	}
	return left, err
}

// unmount unmounts the file system itself, unless it stays busy.
func (m *mountpoint) unmount() error {
	for attempt := 0; ; attempt++ {
		err := unix.Unmount(m.dir, unix.UMOUNT_NOFOLLOW)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || attempt == unmountAttempts {
			return fmt.Errorf("unmount %s: %w", m.dir, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// close unmounts everything and removes the folder. Mounts that were left
// over are unmounted too, and are an error unless the caller tolerates them; a
// file system that is busy is an error and is unmounted lazily, by the guard.
func (m *mountpoint) close(tolerant bool) error {
	defer m.guard.dismiss()
	left, err := m.unmountLeftovers()
	if len(left) > 0 && !tolerant {
		err = errors.Join(err, fmt.Errorf("still mounted at the end: %q", left))
	}
	return errors.Join(err, m.unmount())
}
