package vfs_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/vfs"
)

// A driver can be used without a store, by anybody.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "vfs-example-")
	if err != nil {
		log.Panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	driver, err := vfs.Open(ctx, drivers.Config{Home: filepath.Join(dir, "vfs")})
	if err != nil {
		log.Panic(err)
	}
	defer func() { _ = driver.Close(ctx) }()

	write := func(layer, name string) {
		path, err := driver.Mount(ctx, layer, drivers.MountOptions{})
		if err != nil {
			log.Panic(err)
		}
		if err := os.WriteFile(filepath.Join(path, name), []byte("content"), 0o600); err != nil {
			log.Panic(err)
		}
	}
	if err := driver.Create(ctx, "base", "", drivers.CreateOptions{}); err != nil {
		log.Panic(err)
	}
	write("base", "inherited")
	if err := driver.Create(ctx, "top", "base", drivers.CreateOptions{}); err != nil {
		log.Panic(err)
	}
	write("top", "new")

	changes, err := drivers.Changes(ctx, driver, "top", "base")
	if err != nil {
		log.Panic(err)
	}
	for _, change := range changes {
		fmt.Println(change.Kind, change.Path)
	}
	// Output: Add /new
}
