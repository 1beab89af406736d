package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// BenchmarkLayers lists 10,000 layers in each of the forms there are.
func BenchmarkLayers(b *testing.B) {
	dir := b.TempDir()
	roots := []string{"containers-storage", "-g", dir + "/root", "-R", dir + "/run", "-s", "vfs", "layers"}
	manyLayers(b, graph.Options{Root: roots[2], RunRoot: roots[4], Driver: "vfs"})
	for _, form := range []string{"", "--quick", "--tree", "--json"} {
		b.Run(strings.TrimPrefix(form, "--"), func(b *testing.B) {
			env := cli.Env{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now, Getenv: func(string) string { return "" }}
			args := slices.Concat(roots, strings.Fields(form))
			for b.Loop() {
				if status := run(b.Context(), env, args); status != 0 {
					b.Fatalf("exit status %d", status)
				}
			}
		})
	}
}

// manyLayers makes 1000 images with ten layers each.
func manyLayers(b *testing.B, options graph.Options) {
	b.Helper()
	store, err := graph.Open(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	err = store.Update(b.Context(), func(tx *graph.Tx) error {
		for i := range 1000 {
			var parent model.LayerID
			for range 10 {
				l, err := tx.CreateLayer(graph.LayerSpec{Parent: parent})
				if err != nil {
					return err
				}
				parent = l.ID
			}
			if _, err := tx.CreateImage(graph.ImageSpec{TopLayer: parent, Names: []string{fmt.Sprintf("image:%d", i)}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
