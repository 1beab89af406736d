package testutil

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Loop describes a file system that lies in a file and is mounted through a
// loop device. The zero value of all but FS is good for most tests.
type Loop struct {
	// FS is the kind of file system, one of Filesystems.
	FS string
	// Size is the size of the disk in bytes; 0 means 1 GiB. The file is
	// sparse, so a size costs nothing until it is used. XFS wants 300 MiB.
	Size int64
	// Mkfs are further arguments of the command that makes the file system.
	Mkfs []string
	// Data are mount options of the file system, such as "pquota".
	Data string
	// KernelMayLack names what the kernel needs for Data and may have been
	// built without. A test whose file system cannot be mounted for lack of it
	// is skipped, also where CI is set: nobody can install that.
	KernelMayLack string
	// Steady makes times mean something: the file is written in full first,
	// and the loop device goes past the page cache of the file system that
	// the file lies in. It takes some seconds.
	Steady bool
	// LeaveMounts tolerates mounts in the file system, of it, or of overlays
	// made of it, that are left when the test ends. They are unmounted all
	// the same; without LeaveMounts they are errors of the test.
	LeaveMounts bool
}

const defaultDiskSize = 1 << 30

// Disk is a mounted file system.
type Disk struct {
	loop  Loop
	image *os.File // has no name any more, so that nothing stays after a kill
	point *mountpoint
}

// LoopMount mounts a new and empty file system of one of the kinds that
// Filesystems lists and returns where. It is unmounted when the test ends, and
// also when the process is killed.
func LoopMount(t testing.TB, fs string) string {
	t.Helper()
	return Loop{FS: fs}.Mount(t).Dir()
}

// Mount makes the file system and mounts it until the test ends.
func (l Loop) Mount(t testing.TB) *Disk {
	t.Helper()
	l.need(t)
	disk, err := l.mount(t.Context())
	if l.KernelMayLack != "" && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EOPNOTSUPP)) {
		t.Skipf("needs a kernel with %s: %v", l.KernelMayLack, err)
	}
	mustMount(t, l.FS, err)
	t.Cleanup(func() {
		if err := disk.close(); err != nil {
			t.Errorf("%s on a loop device: %v", l.FS, err)
		}
	})
	return disk
}

// need ends a test on a machine that cannot have the file system.
func (l Loop) need(t testing.TB) {
	t.Helper()
	NeedRoot(t)
	if maker := makers(l.FS); maker != nil {
		NeedTool(t, maker[0], "umount")
	}
}

// errCannotMount is matched by errors which show that the machine cannot mount
// a file system, or does not let us. They are no fault of the test.
var errCannotMount = errors.New("a machine that can mount it")

// mustMount ends the test if there was an error.
func mustMount(t testing.TB, fs string, err error) {
	t.Helper()
	if errors.Is(err, errCannotMount) {
		Missing(t, "%s: %v", fs, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mount is Mount for those who have no test.
func (l Loop) mount(ctx context.Context) (_ *Disk, err error) {
	image, err := l.makeImage(ctx)
	if err != nil {
		return nil, err
	}
	point, err := newMountpoint(l.FS)
	if err != nil {
		return nil, errors.Join(err, image.Close())
	}
	disk := &Disk{loop: l, image: image, point: point}
	if err := disk.attachAndMount(); err != nil {
		point.guard.dismiss()
		return nil, errors.Join(err, image.Close())
	}
	// Only mkfs.ext4 makes this folder, and fsck makes it again.
	if err := os.Remove(filepath.Join(point.dir, "lost+found")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, disk.close())
	}
	return disk, nil
}

// makeImage makes the file system in a file without a name.
func (l Loop) makeImage(ctx context.Context) (image *os.File, err error) {
	image, err = os.CreateTemp("", "csdb-image-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, os.Remove(image.Name())); err != nil {
			err = errors.Join(err, image.Close())
		}
	}()
	size := l.Size
	if size == 0 {
		size = defaultDiskSize
	}
	if err := image.Truncate(size); err != nil {
		return nil, err
	}
	if l.Steady {
		if err := fillWithZeros(image, size); err != nil {
			return nil, err
		}
	}
	return image, makeFilesystem(ctx, l.FS, l.Mkfs, image.Name())
}

// fillWithZeros gives every block of the file its place on the disk.
func fillWithZeros(file *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := file.WriteAt(zeros[:min(size-at, int64(len(zeros)))], at); err != nil {
			return err
		}
	}
	return file.Sync()
}

// attachAndMount mounts what is in the image.
func (d *Disk) attachAndMount() error {
	var flags uint32
	if d.loop.Steady {
		flags = unix.LO_FLAGS_DIRECT_IO
	}
	device, err := attach(d.image, flags)
	if err != nil {
		return fmt.Errorf("loop device: %w", err)
	}
	defer device.Close()
	return d.point.mount(device.Name(), d.loop.FS, d.loop.Data)
}

// Dir returns where the file system is mounted.
func (d *Disk) Dir() string { return d.point.dir }

// close unmounts the file system and forgets what is in it.
func (d *Disk) close() error {
	return errors.Join(d.point.close(d.loop.LeaveMounts), d.image.Close())
}
