package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// unpackStdin unpacks standard input below the directory args[0], for an
// overlay mounted with userxattr on args[1]. A third argument "ignore" makes
// it ignore that owners cannot be set.
func unpackStdin(ctx context.Context, args []string) error {
	opts := archive.UnpackOptions{
		Whiteouts:         archive.WhiteoutsOverlayUser,
		Lowers:            args[1:2],
		IgnoreChownErrors: len(args) > 2 && args[2] == "ignore",
	}
	_, err := archive.Unpack(ctx, args[0], tar.NewReader(os.Stdin), opts)
	return err
}

// userNamespaceChild returns a process that unpacks entries as the root of a
// user namespace which has the IDs from 0 to 9.
func userNamespaceChild(t *testing.T, args []string, entries []entry) *exec.Cmd {
	t.Helper()
	if limit, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err != nil || strings.TrimSpace(string(limit)) == "0" {
		testutil.Missing(t, "user namespaces")
	}
	child := testutil.Child(t, "unpack", args...)
	mapping := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 10}}
	child.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
	child.SysProcAttr.UidMappings, child.SysProcAttr.GidMappings = mapping, mapping
	child.SysProcAttr.GidMappingsEnableSetgroups = true
	child.Stdin = bytes.NewReader(makeTar(t, entries...))
	child.Stderr = nil // taken by CombinedOutput
	return child
}

func TestUnpackInAUserNamespaceLeavesOutWhatItCannotMake(t *testing.T) {
	testutil.NeedRoot(t)
	layer, lower := t.TempDir(), t.TempDir()
	mkdir(t, lower+"/gone", lower+"/skipped", lower+"/opaque")
	unpackIn(t, []string{layer, lower},
		device(tar.TypeChar, "null", 1, 3), device(tar.TypeBlock, "disk", 8, 0), fifo("fifo"),
		file("f", "x").owner(5, 6).xattr("trusted.t", "x"), file("u", "").xattr("user.u", "y"),
		device(tar.TypeChar, "d", 1, 3), file("d/below", ""),
		whiteout(".wh.gone"), dir("opaque"), whiteout("opaque/.wh..wh..opq"),
		device(tar.TypeChar, "skipped", 1, 3), whiteout(".wh.skipped"))
	got := testutil.Snapshot(t, layer)
	for name, want := range map[string]string{
		"null": "", "disk": "", "fifo": "fifo", "f": "file", "d": "dir", "d/below": "file",
		"gone": "char", "skipped": "char", "opaque": "dir",
	} {
		if got[name].Type != want {
			t.Errorf("%s is a %q, want a %q", name, got[name].Type, want)
		}
	}
	if e := got["f"]; e.Xattrs != nil || e.UID != 5 || e.GID != 6 {
		t.Error(e)
	}
	if got["u"].Xattrs["user.u"] != "y" || got["opaque"].Xattrs["user.overlay.opaque"] != "y" {
		t.Error(got["u"], got["opaque"])
	}
}

func unpackIn(t *testing.T, args []string, entries ...entry) {
	t.Helper()
	child := userNamespaceChild(t, args, entries)
	if output, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

func TestUnpackInAUserNamespaceTellsOwnersThatAreNotMapped(t *testing.T) {
	testutil.NeedRoot(t)
	layer := t.TempDir()
	output, err := userNamespaceChild(t, []string{layer, layer}, []entry{file("f", "x").owner(50, 0)}).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "mapped in the user namespace") {
		t.Errorf("got %v: %s", err, output)
	}
	unpackIn(t, []string{layer, layer, "ignore"}, file("f", "x").owner(50, 0).mode(0o751))
	if got := testutil.Snapshot(t, layer)["f"]; got.UID != 0 || got.Mode != 0o751 {
		t.Error(got)
	}
}
