package fsck_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

var busyTime = flag.Duration("busy", 2*time.Second, "how long a store is checked while others work on it")

// worker is what a child process runs: it makes, writes to, changes and deletes
// things in the store args[1] with the run root args[2] until its standard input
// ends. args[0] is the driver, and args[3] makes its IDs its own.
func worker(ctx context.Context, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	store, err := graph.Open(ctx, graph.Options{Root: args[1], RunRoot: args[2], Driver: args[0], NoSync: true})
	if err != nil {
		return err
	}
	for round := 0; ctx.Err() == nil; round++ {
		// What was begun is brought to its end, so that nothing is left.
		if err := work(context.WithoutCancel(ctx), store, args[3], round); err != nil {
			return err
		}
	}
	return store.Close()
}

// work goes through the life of a layer, an image and a container.
func work(ctx context.Context, store *graph.Store, own string, round int) error {
	layer, image, container := model.LayerID("layer-"+own), model.ImageID("image-"+own), model.ContainerID("container-"+own)
	diff, err := archive(fmt.Sprintf("file-%d", round), 300_000)
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error {
			_, err := store.ImportLayer(ctx, graph.LayerSpec{ID: layer, Parent: "base"}, diff)
			return err
		},
		func() error {
			_, err := store.CreateImage(ctx, graph.ImageSpec{ID: image, TopLayer: layer, Names: []string{"name-" + own}})
			return err
		},
		func() error {
			_, err := store.AddLease(ctx, graph.LeaseSpec{ID: own, Objects: []model.ID{layer, image}})
			return err
		},
		func() error {
			return store.SetData(ctx, image, "manifest", strings.NewReader(fmt.Sprint("first of ", round)))
		},
		func() error {
			return store.SetData(ctx, image, "manifest", strings.NewReader(fmt.Sprint("second of ", round)))
		},
		func() error {
			_, err := store.CreateContainer(ctx, graph.ContainerSpec{ID: container, Image: image})
			return err
		},
		func() error {
			path, err := store.Mount(ctx, string(container), graph.MountOptions{})
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(path, "written"), []byte(own), 0o600)
		},
		func() error { _, err := store.Unmount(ctx, string(container), false); return err },
		func() error { return store.DeleteContainer(ctx, container) },
		func() error { return store.RemoveLease(ctx, own) },
		func() error { _, err := store.DeleteImage(ctx, image); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// archive makes a diff of one file.
func archive(name string, size int) (io.Reader, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(size)})
	if err == nil {
		_, err = w.Write(bytes.Repeat([]byte{'x'}, size))
	}
	return &buf, errors.Join(err, w.Close())
}

// Whatever several processes do to a healthy store, nothing is found in it, and
// nobody is kept from working.
func TestNothingIsFoundInABusyStore(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newSample(t, driver)
			var children []func() error
			for i := range 3 {
				child := testutil.Child(t, "worker", driver, s.root, s.runRoot, fmt.Sprint(i))
				in, err := child.StdinPipe()
				must(t, err)
				must(t, child.Start())
				children = append(children, func() error { return errors.Join(in.Close(), child.Wait()) })
			}
			checks := 0
			for end := time.Now().Add(*busyTime); time.Now().Before(end) || checks == 0; checks++ {
				report := check(t.Context(), t, fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: fsck.Contents})
				wantFindings(t, report)
				if t.Failed() {
					break
				}
			}
			for _, end := range children {
				must(t, end())
			}
			t.Logf("%d checks", checks)
			wantFindings(t, s.check(t))
		})
	}
}
