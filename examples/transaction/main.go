// Command transaction shows how a program embeds csdb: it pulls an image of
// two layers and notes the pull in a bucket of its own, and all of that happens
// or none of it does.
//
//	go run ./examples/transaction [directory]
//
// The store is made in the directory, or in a temporary one. The driver is vfs,
// so that no privileges are needed.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// engine is the name of the bucket in which this program keeps its state. A
// domain name that one owns keeps programs apart.
const engine = "com.example.engine"

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "transaction:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) (err error) {
	dir, err := directory(args)
	if err != nil {
		return err
	}
	store, err := graph.Open(ctx, graph.Options{
		Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "vfs",
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	// The first attempt fails at the very end. Nothing of it can be seen.
	refused := errors.New("the policy does not allow this image")
	_, err = pull(ctx, store, func() error { return refused })
	fmt.Fprintln(out, "first pull:", err)
	if !errors.Is(err, refused) {
		return fmt.Errorf("the first pull should have been refused: %w", err)
	}
	if err := show(ctx, out, store); err != nil {
		return err
	}

	id, err := pull(ctx, store, func() error { return nil })
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "second pull: image", id[:12])
	return show(ctx, out, store)
}

func directory(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	return os.MkdirTemp("", "csdb-example-")
}

// pulled is what this program remembers about an image.
type pulled struct {
	From string    `json:"from"`
	When time.Time `json:"when"`
}

// pull puts an image into the store. allowed has the last word.
func pull(ctx context.Context, store *graph.Store, allowed func() error) (id model.ImageID, err error) {
	// Content first: it may take as long as it likes, nobody waits for it.
	// What is staged and not committed is discarded when we leave.
	base, err := store.StageLayer(ctx, graph.LayerSpec{}, layer(map[string]string{
		"etc/os-release": "NAME=Example\n", "bin/app": "version 1",
	}))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, base.Discard(ctx)) }()
	top, err := store.StageLayer(ctx, graph.LayerSpec{StagedParent: base}, layer(map[string]string{
		"bin/app": "version 2",
	}))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, top.Discard(ctx)) }()
	config, err := store.StageData(ctx, graph.DataSpec{}, strings.NewReader(`{"architecture":"amd64","os":"linux"}`))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, config.Discard(ctx)) }()

	// Then the records, all in one transaction.
	err = store.Update(ctx, func(tx *graph.Tx) error {
		if _, err := tx.AddLayer(base); err != nil {
			return err
		}
		if _, err := tx.AddLayer(top); err != nil {
			return err
		}
		image, err := tx.CreateImage(graph.ImageSpec{
			ID:       model.ImageID(config.Digest().Encoded()), // as the OCI image specification has it
			TopLayer: top.ID(),
			Names:    []string{"registry.example.com/app:2"},
		})
		if err != nil {
			return err
		}
		if err := tx.SetData(image.ID, "config", config); err != nil {
			return err
		}
		state, err := json.Marshal(pulled{From: "registry.example.com", When: time.Now()})
		if err != nil {
			return err
		}
		if err := tx.Bucket(engine).Put([]byte(image.ID), state); err != nil {
			return err
		}
		id = image.ID
		return allowed()
	})
	return id, err
}

// layer packs files as the diff of a layer.
func layer(files map[string]string) io.Reader {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for name, text := range files {
		// Writing to memory cannot fail.
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), ModTime: time.Now()})
		_, _ = io.WriteString(w, text)
	}
	_ = w.Close()
	return &buf
}

// show prints what is in the store and in our bucket, as they were at one
// instant.
func show(ctx context.Context, out io.Writer, store *graph.Store) error {
	return store.View(ctx, func(tx *graph.ReadTx) error {
		images, err := tx.Images()
		if err != nil {
			return err
		}
		usage, err := tx.Usage()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %d layers, %d images\n", usage.Layers, len(images))
		for _, image := range images {
			state, err := tx.Bucket(engine).Get([]byte(image.ID))
			if err != nil {
				return err
			}
			var p pulled
			if err := json.Unmarshal(state, &p); err != nil {
				return err
			}
			fmt.Fprintf(out, "  %s, pulled from %s\n", strings.Join(image.Names, " "), p.From)
		}
		return nil
	})
}
