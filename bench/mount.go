package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/containers/storage"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// benchMount measures mounting and unmounting a container on a few layers and
// on many.
func benchMount(ctx context.Context, b *bench) error {
	for _, depth := range []int{5, 100} {
		progress("%d layers deep", depth)
		if err := b.mounts(ctx, depth); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) mounts(ctx context.Context, depth int) (err error) {
	ours, err := mountOurs(ctx, b, depth)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	peer, err := mountPeer(b, depth)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.end()) }()
	// The first mount makes the layer's directory and is left out.
	if err := errors.Join(ours.op(), ours.undo(), peer.op(), peer.undo()); err != nil {
		return err
	}
	ms, err := measureInTurns(b.repeat, ours, peer)
	if err != nil {
		return err
	}
	b.report.add("mount", fmt.Sprintf("mount a container on %d layers", depth), ms[0], "containers/storage", ms[1], "ms", 0)
	if err := errors.Join(ours.op(), peer.op()); err != nil {
		return err
	}
	ours.op, ours.undo, peer.op, peer.undo = ours.undo, ours.op, peer.undo, peer.op
	if ms, err = measureInTurns(b.repeat, ours, peer); err != nil {
		return err
	}
	b.report.add("mount", fmt.Sprintf("unmount a container on %d layers", depth), ms[0], "containers/storage", ms[1], "ms", 0)
	return errors.Join(ours.op(), peer.op())
}

// emptyDiff is a tar stream without entries.
func emptyDiff() *bytes.Reader { return bytes.NewReader(make([]byte, 1024)) }

func mountOurs(ctx context.Context, b *bench, depth int) (s subject, err error) {
	dir, err := b.sub("mount")
	if err != nil {
		return s, err
	}
	store, err := openOurs(ctx, dir)
	if err != nil {
		return s, err
	}
	var top model.LayerID
	for range depth {
		l, err := store.ImportLayer(ctx, graph.LayerSpec{Parent: top}, emptyDiff())
		if err != nil {
			return s, err
		}
		top = l.ID
	}
	image, err := store.CreateImage(ctx, graph.ImageSpec{TopLayer: top})
	if err != nil {
		return s, err
	}
	c, err := store.CreateContainer(ctx, graph.ContainerSpec{Image: image.ID})
	if err != nil {
		return s, err
	}
	return subject{
		op:   func() error { _, err := store.Mount(ctx, string(c.ID), graph.MountOptions{}); return err },
		undo: func() error { _, err := store.Unmount(ctx, string(c.ID), false); return err },
		end:  store.Close,
	}, nil
}

func mountPeer(b *bench, depth int) (s subject, err error) {
	dir, err := b.sub("mount-peer")
	if err != nil {
		return s, err
	}
	store, err := openPeer(dir)
	if err != nil {
		return s, err
	}
	top := &storage.Layer{}
	for range depth {
		if top, _, err = store.PutLayer("", top.ID, nil, "", false, nil, emptyDiff()); err != nil {
			return s, err
		}
	}
	image, err := store.CreateImage("", nil, top.ID, "", nil)
	if err != nil {
		return s, err
	}
	c, err := store.CreateContainer("", nil, image.ID, "", "", nil)
	if err != nil {
		return s, err
	}
	return subject{
		op:   func() error { _, err := store.Mount(c.ID, ""); return err },
		undo: func() error { _, err := store.Unmount(c.ID, false); return err },
		end:  func() error { return shutdownPeer(store) },
	}, nil
}
