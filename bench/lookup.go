package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/csdb/csdb/graph"
)

// benchLookup measures a fresh process that opens a store and finds one image
// by its name.
func benchLookup(ctx context.Context, b *bench) error {
	progress("csdb with %d images", b.images)
	dir, err := b.sub("lookup")
	if err != nil {
		return err
	}
	name, err := fillImages(ctx, dir, b.images)
	if err != nil {
		return err
	}
	ours, err := b.lookUp(ctx, job{Do: "lookup", Dir: dir, Arg: name})
	if err != nil {
		return err
	}
	progress("containers/storage with %d images", b.images)
	if dir, err = b.sub("lookup-peer"); err != nil {
		return err
	}
	if name, err = fillPeerImages(dir, b.images); err != nil {
		return err
	}
	peer, err := b.lookUp(ctx, job{Peer: true, Do: "lookup", Dir: dir, Arg: name})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("open and find one of %d images by name, fresh process", b.images)
	b.report.add("lookup", what+", CPU", ours.cpu, "10 ms", 10, "ms", 1)
	b.report.add("lookup", what+", CPU", ours.cpu, "containers/storage", peer.cpu, "ms", 0)
	b.report.add("lookup", what+", wall", ours.wall, "containers/storage", peer.wall, "ms", 0)
	return nil
}

// times are medians in milliseconds.
type times struct{ wall, cpu float64 }

func (b *bench) lookUp(ctx context.Context, j job) (times, error) {
	var walls, cpus []time.Duration
	for range 15 {
		c, err := spawn(ctx, j)
		if err != nil {
			return times{}, err
		}
		if c.output == "" {
			return times{}, errors.New("the image was not found")
		}
		walls, cpus = append(walls, c.wall), append(cpus, c.cpu)
	}
	return times{wall: median(walls), cpu: median(cpus)}, nil
}

// fillImages makes n images of one layer each and returns the name of one in
// the middle.
func fillImages(ctx context.Context, dir string, n int) (name string, err error) {
	store, err := openOurs(ctx, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for done := 0; done < n; {
		err := store.Update(ctx, func(tx *graph.Tx) error {
			for range 500 {
				l, err := tx.CreateLayer(graph.LayerSpec{})
				if err != nil {
					return err
				}
				spec := graph.ImageSpec{TopLayer: l.ID, Names: []string{fmt.Sprintf("registry.example.com/image:%d", done)}}
				if _, err := tx.CreateImage(spec); err != nil {
					return err
				}
				if done == n/2 {
					name = spec.Names[0]
				}
				if done++; done == n {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return name, nil
}

func fillPeerImages(dir string, n int) (string, error) {
	store, err := openPeer(dir)
	if err != nil {
		return "", err
	}
	layer, err := store.CreateLayer("", "", nil, "", false, nil)
	if err != nil {
		return "", err
	}
	if _, err := store.CreateImage("", []string{"registry.example.com/image:0"}, layer.ID, "", nil); err != nil {
		return "", err
	}
	if err := shutdownPeer(store); err != nil {
		return "", err
	}
	if _, err := multiply(filepath.Join(dir, "root", "overlay-layers", "layers.json"), n); err != nil {
		return "", err
	}
	names, err := multiply(filepath.Join(dir, "root", "overlay-images", "images.json"), n)
	if err != nil {
		return "", err
	}
	return names[len(names)/2], nil
}
