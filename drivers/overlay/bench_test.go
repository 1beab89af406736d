package overlay_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
)

// BenchmarkMount mounts and unmounts a layer with some below it, in both ways.
func BenchmarkMount(b *testing.B) {
	for _, lowers := range []int{5, 100} {
		for name, construct := range constructors() {
			b.Run(fmt.Sprintf("%s/%d", name, lowers), func(b *testing.B) {
				driver := openIn(b, construct, filepath.Join(testutil.SharedLoop(b, "ext4"), "overlay"))
				parent := ""
				for depth := range lowers + 1 {
					// As long as the names of real layers.
					id := fmt.Sprintf("%064d", depth)
					must(b, driver.Create(b.Context(), id, parent, drivers.CreateOptions{}))
					parent = id
				}
				for b.Loop() {
					if _, err := driver.Mount(b.Context(), parent, drivers.MountOptions{}); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					must(b, driver.Unmount(b.Context(), parent))
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkUnmount is the other half.
func BenchmarkUnmount(b *testing.B) {
	driver := openIn(b, constructors()["new calls"], filepath.Join(testutil.SharedLoop(b, "ext4"), "overlay"))
	chain(b, driver, "base", "top")
	for b.Loop() {
		b.StopTimer()
		mount(b, driver, "top")
		b.StartTimer()
		must(b, driver.Unmount(b.Context(), "top"))
	}
}

// BenchmarkCreate makes a layer on top of another one.
func BenchmarkCreate(b *testing.B) {
	driver := openIn(b, constructors()["new calls"], filepath.Join(testutil.SharedLoop(b, "ext4"), "overlay"))
	chain(b, driver, "base")
	i := 0
	for b.Loop() {
		i++
		must(b, driver.Create(b.Context(), fmt.Sprintf("%064d", i), "base", drivers.CreateOptions{}))
	}
}
