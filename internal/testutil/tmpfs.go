package testutil

import "testing"

// Tmpfs mounts a new tmpfs of at most 512 MiB and returns where. It is
// unmounted when the test ends, and also when the process is killed.
func Tmpfs(t testing.TB) string {
	t.Helper()
	NeedRoot(t)
	NeedTool(t, "umount")
	point, err := newMountpoint("tmpfs")
	if err != nil {
		t.Fatal(err)
	}
	if err := point.mount("csdb-test", "tmpfs", "size=512m,mode=0755"); err != nil {
		point.guard.dismiss()
		mustMount(t, "tmpfs", err)
	}
	t.Cleanup(func() {
		if err := point.close(false); err != nil {
			t.Errorf("tmpfs: %v", err)
		}
	})
	return point.dir
}
