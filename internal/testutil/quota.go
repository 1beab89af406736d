package testutil

import "testing"

// EachProjectQuota runs a test on a new file system of each kind that can limit
// projects. Where the kernel was built without what that takes, the test is
// skipped.
func EachProjectQuota(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	for _, loop := range []Loop{
		{
			FS: "ext4", Mkfs: []string{"-O", "quota,project", "-E", "lazy_itable_init=0,lazy_journal_init=0,quotatype=prjquota"},
			Data: "prjquota", KernelMayLack: "CONFIG_QUOTA and CONFIG_QFMT_V2",
		},
		{FS: "xfs", Data: "prjquota", KernelMayLack: "CONFIG_XFS_QUOTA"},
	} {
		t.Run(loop.FS, func(t *testing.T) { test(t, loop.Mount(t).Dir()) })
	}
}
