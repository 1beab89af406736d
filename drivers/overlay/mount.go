package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// mounter mounts a stack.
type mounter interface {
	// attach mounts the stack at the directory name in dir.
	attach(ctx context.Context, s *stack, dir *at.Dir, name string) error
	// detached mounts the stack where nobody else sees it, for as long as the
	// result is open.
	detached(ctx context.Context, s *stack) (*os.File, error)
}

// Mount mounts the layer on its mount point. With the option "ro" or
// opts.ReadOnly nothing can be written, and the layer needs no work directory.
func (d *Driver) Mount(ctx context.Context, id string, opts drivers.MountOptions) (path string, err error) {
	options, err := d.mountOptions(opts)
	if err != nil {
		return "", err
	}
	layer, err := d.find(id)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	if !options.readOnly() {
		if err := layer.NeedWritable(); err != nil {
			return "", err
		}
	}
	point, err := d.point(layer)
	if err != nil {
		return "", fmt.Errorf("mount point: %w", drivers.Classify(err))
	}
	defer func() { err = errors.Join(err, point.Close()) }()
	if mounted, err := isMounted(point); err != nil || mounted {
		return point.Path(mergedDir), err
	}
	if err := d.mount(ctx, layer, point, options); err != nil {
		if layer.Foreign {
			err = errors.Join(err, d.unmountElsewhere(id))
		}
		return "", fmt.Errorf("mounting: %w", drivers.Classify(err))
	}
	return point.Path(mergedDir), nil
}

// mount mounts a layer on the mount point in the directory point.
func (d *Driver) mount(ctx context.Context, layer *drivers.Located, point *at.Dir, options mountOptions) (err error) {
	if err := errors.Join(detachDead(point), makeMountPoint(point)); err != nil {
		return err
	}
	s, err := d.openStack(ctx, layer, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.work != nil {
		if err := errors.Join(d.noteProgram(), d.noteIndirection(&s.options)); err != nil {
			return err
		}
		if err := clearVolatile(ctx, s.work.Dir); err != nil {
			return err
		}
	}
	return d.mounter.attach(ctx, s, point, mergedDir)
}

// merged returns the path of the mount point of a layer in the driver's own home.
func (d *Driver) merged(id string) string { return filepath.Join(d.layers.Path(id), mergedDir) }

// mountOptions combines what the caller wants with what is configured and with
// what the kernel can do.
func (d *Driver) mountOptions(opts drivers.MountOptions) (mountOptions, error) {
	options := d.defaults.clone()
	if len(opts.Options) > 0 {
		var err error
		if options, err = parseMountOptions(strings.Join(opts.Options, ",")); err != nil {
			return mountOptions{}, err
		}
		// This one is a property of the store: a layer mounted without it
		// would show files whose content is below as empty.
		if slices.Contains(d.defaults.data, metacopyOn) {
			options.add(metacopyOn)
		}
	}
	if !d.features.metacopy {
		options.drop(metacopyOn)
	}
	if d.helper != "" { // they do it their own way, and refuse to be told
		options.dropKey(redirectDir)
		if d.forcesOwn() {
			options.add(showOverrides)
		}
	}
	if opts.ReadOnly {
		options.flags |= unix.MS_RDONLY
	}
	if d.userXattr && d.helper == "" {
		options.add("userxattr")
	}
	if opts.Volatile && d.features.volatile && !options.readOnly() {
		options.add("volatile")
	}
	if opts.Label != "" && d.hasLabels() {
		options.add("context=" + opts.Label)
	}
	return options, nil
}

// makeMountPoint makes a lost mount point.
func makeMountPoint(layer *at.Dir) error {
	exists, err := layer.IsDir(mergedDir)
	if err != nil || exists {
		return err
	}
	owner, err := layer.Stat(workDir)
	if errors.Is(err, fs.ErrNotExist) {
		owner, err = layer.Stat(".")
	}
	if err != nil {
		return err
	}
	return layer.Mkdir(mergedDir, 0o700, int(owner.Uid), int(owner.Gid))
}

// clearVolatile removes the mark of a volatile mount that the kernel leaves in
// the work directory. It would refuse to mount the layer again, to protect
// from reading what a crash has damaged; whoever asked for a volatile mount
// has accepted that.
func clearVolatile(ctx context.Context, work *at.Dir) (err error) {
	incompat, err := work.Sub("work/incompat")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, incompat.Close()) }()
	return incompat.RemoveTree(ctx, "volatile")
}

// Unmount detaches the layer's mount, even if it is in use, and leaves a new
// mount point: the old one may be held by mounts in other mount namespaces.
func (d *Driver) Unmount(_ context.Context, id string) (err error) {
	layer, err := d.layers.Layer(id)
	if errors.Is(err, model.ErrLayerUnknown) {
		return d.unmountElsewhere(id)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	mounted, err := isMounted(layer)
	if err != nil {
		return err
	}
	if !mounted {
		return detachDead(layer)
	}
	if err := flush(layer); err != nil {
		return fmt.Errorf("unmounting: %w", err)
	}
	if err := detach(layer); err != nil {
		return fmt.Errorf("unmounting: %w", err)
	}
	// On a read-only file system the old one has to do.
	if err := renewMountPoint(layer); err != nil && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("mount point: %w", drivers.Classify(err))
	}
	return nil
}

// detach removes what is mounted on the layer's mount point, however often.
func detach(layer *at.Dir) error {
	target := layer.ProcPath() + "/" + mergedDir
	for {
		err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // nothing is mounted
			return nil
		case err != nil:
			return fmt.Errorf("umount %s: %w", layer.Path(mergedDir), err)
		}
	}
}

// flush writes what the kernel holds back for a mount program, which would do
// so itself some time after the mount has gone. That of overlay writes at once
// to where it goes.
func flush(layer *at.Dir) error {
	target := layer.ProcPath() + "/" + mergedDir
	if byProgram, err := isFuse(target); err != nil || !byProgram {
		return nil //nolint:nilerr // A mount whose program has ended has nothing to write.
	}
	if err := syncFS(target); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return err
	}
	return nil
}

// renewMountPoint replaces the mount point by a new directory with the same
// owner, in one step. One into which somebody has put something stays.
func renewMountPoint(layer *at.Dir) error {
	owner, err := layer.Stat(mergedDir)
	if err != nil {
		return err
	}
	if err := layer.Remove(newMergedDir); err != nil {
		return err
	}
	if err := layer.Mkdir(newMergedDir, 0o700, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	err = layer.Rename(newMergedDir, mergedDir)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return layer.Remove(newMergedDir)
	}
	return err
}

// Mountpoint returns the path of the layer's mount point, and whether an
// overlay is mounted on it.
func (d *Driver) Mountpoint(_ context.Context, id string) (path string, mounted bool, err error) {
	layer, err := d.layers.Layer(id)
	if errors.Is(err, model.ErrLayerUnknown) {
		mounted, err = d.mountedElsewhere(id)
		return d.pointElsewhere(id), mounted, err
	}
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	mounted, err = isMounted(layer)
	return d.merged(id), mounted, err
}
