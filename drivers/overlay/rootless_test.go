package overlay_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// user is an ID that owns nothing.
const user = 54321

// asUser makes a child run without privileges. Its executable is where nobody
// but root can go, so it is reached through the process that starts it.
func asUser(t *testing.T, child *exec.Cmd) {
	t.Helper()
	child.Path = "/proc/self/exe"
	out, err := child.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// openToUser returns a directory that belongs to user.
func openToUser(t *testing.T) string {
	t.Helper()
	testutil.NeedRoot(t)
	dir := filepath.Join(testutil.SharedLoop(t, "ext4"), "of user")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, user, user))
	return dir
}

func TestOverlayWorksInAUserNamespace(t *testing.T) {
	dir := openToUser(t)
	child := testutil.Child(t, "rootless", dir)
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}}
	child.Stderr = nil
	child.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
	child.SysProcAttr.Credential = &syscall.Credential{NoSetGroups: true} // root in there
	child.SysProcAttr.UidMappings, child.SysProcAttr.GidMappings = one, one
	asUser(t, child)
}

// rootless runs as root of a user namespace.
func rootless(ctx context.Context, args []string) (err error) {
	config := drivers.Config{
		Home: filepath.Join(args[0], "home"), RunHome: filepath.Join(args[0], "run"),
		Options: []string{"overlay.mountopt=nodev", "overlay.ignore_chown_errors=true"},
	}
	driver, err := overlay.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, driver.Close(ctx)) }()
	besides := func(ctx context.Context, _ drivers.Driver) error { return otherHomeRootless(ctx, args[0]) }
	for _, step := range []func(context.Context, drivers.Driver) error{makeRootless, copyRootless, compareRootless, besides, removeRootless} {
		if err := step(ctx, driver); err != nil {
			return err
		}
	}
	return nil
}

// makeRootless makes a layer, and another one that deletes from it.
func makeRootless(ctx context.Context, d drivers.Driver) error {
	if err := d.Create(ctx, "base", "", drivers.CreateOptions{}); err != nil {
		return err
	}
	err := change(ctx, d, "base", func(root string) error {
		return errors.Join(os.MkdirAll(root+"/dir/sub", 0o755), os.WriteFile(root+"/file", []byte("of base"), 0o600))
	})
	if err != nil {
		return err
	}
	if err := d.Create(ctx, "top", "base", drivers.CreateOptions{}); err != nil {
		return err
	}
	return change(ctx, d, "top", func(root string) error {
		return errors.Join(os.Remove(root+"/file"), os.RemoveAll(root+"/dir"), os.Mkdir(root+"/dir", 0o755), os.WriteFile(root+"/dir/new", nil, 0o600))
	})
}

// copyRootless makes the second layer again from its diff.
func copyRootless(ctx context.Context, d drivers.Driver) error {
	var diff bytes.Buffer
	if err := drivers.Diff(ctx, d, "top", "base", &diff); err != nil {
		return err
	}
	if err := d.Create(ctx, "copy", "base", drivers.CreateOptions{}); err != nil {
		return err
	}
	for _, archived := range []*bytes.Buffer{&diff, foreignFile()} {
		if _, err := drivers.Apply(ctx, d, "copy", tar.NewReader(archived), archive.UnpackOptions{}); err != nil {
			return err
		}
	}
	return change(ctx, d, "copy", func(root string) error { return os.Remove(root + "/foreign") })
}

// compareRootless compares the two.
func compareRootless(ctx context.Context, d drivers.Driver) error {
	for _, id := range []string{"top", "copy"} {
		if err := change(ctx, d, id, func(root string) error { return wantTree(root, ".", "dir", "dir/new") }); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		changes, err := drivers.Changes(ctx, d, id, "base")
		if err != nil {
			return err
		}
		if text := fmt.Sprint(changes); !strings.Contains(text, "{/file Delete}") || !strings.Contains(text, "{/dir/new Add}") {
			return fmt.Errorf("changes of %s are %s", id, text)
		}
	}
	return nil
}

func removeRootless(ctx context.Context, d drivers.Driver) error {
	return errors.Join(d.Remove(ctx, "copy"), d.Remove(ctx, "top"), d.Remove(ctx, "base"))
}

// foreignFile is an archive with a file of somebody who is not in the user
// namespace.
func foreignFile() *bytes.Buffer {
	var diff bytes.Buffer
	w := tar.NewWriter(&diff)
	_ = w.WriteHeader(&tar.Header{Name: "foreign", Typeflag: tar.TypeReg, Mode: 0o600, Uid: 7, Gid: 7})
	_ = w.Close()
	return &diff
}

// change calls f with the mount point of a layer and looks at the mount.
func change(ctx context.Context, d drivers.Driver, id string, f func(root string) error) error {
	root, err := d.Mount(ctx, id, drivers.MountOptions{Volatile: true})
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if !bytes.Contains(mounts, []byte("userxattr")) {
		return errors.New("no mount has userxattr")
	}
	return errors.Join(f(root), d.Unmount(ctx, id))
}

func wantTree(root string, want ...string) error {
	var got []string
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		name, errRel := filepath.Rel(root, path)
		got = append(got, name)
		return errors.Join(err, errRel)
	})
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("tree is %q, want %q", got, want)
	}
	return err
}

func TestOverlayIsNotSupportedWithoutPrivileges(t *testing.T) {
	dir := openToUser(t)
	child := testutil.Child(t, "unprivileged", dir)
	child.Stderr = nil
	child.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
	asUser(t, child)
}

// unprivileged runs as a user who is root nowhere.
func unprivileged(ctx context.Context, args []string) error {
	home := filepath.Join(args[0], "home")
	_, err := overlay.Open(ctx, drivers.Config{Home: home, RunHome: filepath.Join(args[0], "run")})
	if !errors.Is(err, model.ErrDriverNotSupported) || !strings.Contains(err.Error(), "root") {
		return fmt.Errorf("got %w, want ErrDriverNotSupported and the reason", err)
	}
	if _, err := os.Lstat(home); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("home is left: %w", err)
	}
	return nil
}
