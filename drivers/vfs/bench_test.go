package vfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/vfs"
	"github.com/csdb/csdb/internal/testutil"
)

// BenchmarkCreate makes a layer on top of one that holds the Go tree, some
// 15,000 files, with shared contents (XFS) and without (ext4).
func BenchmarkCreate(b *testing.B) {
	for _, fs := range []string{"xfs", "ext4"} {
		b.Run(fs, func(b *testing.B) {
			disk := testutil.Loop{FS: fs, Size: 4 << 30, Steady: true}.Mount(b)
			config := drivers.Config{Home: filepath.Join(disk.Dir(), "vfs"), RunHome: b.TempDir()}
			driver, err := vfs.Open(b.Context(), config)
			must(b, err)
			must(b, driver.Create(b.Context(), "base", "", drivers.CreateOptions{}))
			root, _, err := driver.Mountpoint(b.Context(), "base")
			must(b, err)
			must(b, exec.CommandContext(b.Context(), "cp", "-a", testutil.GoTree(b)+"/.", root).Run())
			for b.Loop() {
				must(b, driver.Create(b.Context(), "child", "base", drivers.CreateOptions{}))
				b.StopTimer()
				must(b, driver.Remove(b.Context(), "child"))
				b.StartTimer()
			}
			must(b, driver.Close(b.Context()))
		})
	}
}

// BenchmarkCpA is what cp(1) takes for the same.
func BenchmarkCpA(b *testing.B) {
	for _, fs := range []string{"xfs", "ext4"} {
		b.Run(fs, func(b *testing.B) {
			disk := testutil.Loop{FS: fs, Size: 4 << 30, Steady: true}.Mount(b)
			base, child := filepath.Join(disk.Dir(), "base"), filepath.Join(disk.Dir(), "child")
			must(b, exec.CommandContext(b.Context(), "cp", "-a", testutil.GoTree(b), base).Run())
			for b.Loop() {
				must(b, exec.CommandContext(b.Context(), "cp", "-a", "--reflink=auto", base, child).Run())
				b.StopTimer()
				must(b, os.RemoveAll(child))
				b.StartTimer()
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
