package testutil

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// erofs is the kind of file system that cannot be written at all.
const erofs = "erofs"

// Media returns the kinds of file system that ReadOnly makes.
func Media() []string { return []string{"ext4", erofs} }

// ReadOnly mounts a file system of one of the kinds that Media lists with what
// fill has put into a folder, in a way that nothing in it can be changed, and
// returns where. It is unmounted when the test ends.
func ReadOnly(t testing.TB, kind string, fill func(dir string)) string {
	t.Helper()
	if kind == erofs {
		return mountErofs(t, fill)
	}
	dir := LoopMount(t, kind)
	fill(dir)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatalf("remount %s read-only: %v", dir, err)
	}
	return dir
}

func mountErofs(t testing.TB, fill func(dir string)) string {
	t.Helper()
	NeedRoot(t)
	NeedTool(t, "mkfs.erofs", "umount")
	content := filepath.Join(LoopMount(t, "ext4"), "content")
	if err := os.Mkdir(content, 0o755); err != nil {
		t.Fatal(err)
	}
	fill(content)
	image, err := erofsImage(t.Context(), content)
	if err != nil {
		t.Fatal(err)
	}
	point, err := newMountpoint(erofs)
	if err != nil {
		t.Fatal(errors.Join(err, image.Close()))
	}
	disk := &Disk{loop: Loop{FS: erofs}, image: image, point: point}
	if err := disk.attachAndMount(); err != nil {
		point.guard.dismiss()
		mustMount(t, erofs, errors.Join(err, image.Close()))
	}
	t.Cleanup(func() {
		if err := disk.close(); err != nil {
			t.Errorf("%s on a loop device: %v", erofs, err)
		}
	})
	return disk.Dir()
}

// erofsImage makes a file system of a folder, in a file without a name.
func erofsImage(ctx context.Context, content string) (image *os.File, err error) {
	image, err = os.CreateTemp("", "csdb-image-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, os.Remove(image.Name())); err != nil {
			err = errors.Join(err, image.Close())
		}
	}()
	// Each file keeps its own time, for which there is room in an extended inode.
	return image, runTool(ctx, "mkfs.erofs", "--quiet", "-Eforce-inode-extended", image.Name(), content)
}
