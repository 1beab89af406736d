package vfs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/vfs"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// user is an ID that owns nothing.
const user = 54321

// The driver of last resort works for everybody, if only with files of their
// own.
func TestPlainUserCanUseTheDriver(t *testing.T) {
	testutil.NeedRoot(t)
	dir := filepath.Join(testutil.SharedLoop(t, "ext4"), "of user")
	// A layer with something that a user cannot make.
	_, base := open(t, dir)
	must(t, unix.Mknod(filepath.Join(base, "device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, os.WriteFile(filepath.Join(base, "file"), []byte("content"), 0o640))
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, user, user))
	}))
	child := testutil.Child(t, "user", dir)
	// The executable is where only root can go; it is reached through the
	// process that starts it.
	child.Path = "/proc/self/exe"
	child.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
	child.Stderr = nil
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// plainUser runs as a user who is root nowhere.
func plainUser(ctx context.Context, args []string) (err error) {
	config := drivers.Config{Home: filepath.Join(args[0], "vfs"), RunHome: filepath.Join(args[0], "run"), Options: []string{"vfs.ignore_chown_errors=true"}}
	driver, err := vfs.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, driver.Close(ctx)) }()
	if err := driver.Create(ctx, "copy", "base", drivers.CreateOptions{}); err != nil {
		return err
	}
	if _, err := drivers.Apply(ctx, driver, "copy", tar.NewReader(foreignFile()), archive.UnpackOptions{}); err != nil {
		return err
	}
	var changes []string
	list, err := drivers.Changes(ctx, driver, "copy", "base")
	for _, change := range list {
		changes = append(changes, fmt.Sprintf("%v %s", change.Kind, change.Path))
	}
	if want := []string{"Delete /device", "Add /foreign"}; err != nil || !slices.Equal(changes, want) {
		return fmt.Errorf("changes are %q, %w, want %q", changes, err, want)
	}
	for _, id := range []string{"copy", "base"} {
		if err := driver.Remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// foreignFile is an archive with a file of somebody else.
func foreignFile() *bytes.Buffer {
	var diff bytes.Buffer
	w := tar.NewWriter(&diff)
	_ = w.WriteHeader(&tar.Header{Name: "foreign", Typeflag: tar.TypeReg, Mode: 0o600, Uid: 7, Gid: 7, Size: 4})
	_, _ = w.Write([]byte("text"))
	_ = w.Close()
	return &diff
}
