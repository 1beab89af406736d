package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containers/storage"
	"go.etcd.io/bbolt"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// benchCreate measures the creation of an empty layer on a parent, in an empty
// store and in a full one, beside a put into bbolt and the same with
// containers/storage. They take turns, so that they see the same noise.
func benchCreate(ctx context.Context, b *bench) (err error) {
	var subjects []subject
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.end())
		}
	}()
	add := func(s subject, errMake error) {
		if err = errors.Join(err, errMake); errMake == nil {
			subjects = append(subjects, s)
		}
	}
	progress("stores with 0 and %d layers", b.layers)
	add(createOurs(ctx, b, 0))
	add(createOurs(ctx, b, b.layers))
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(b.dir, fmt.Sprintf("csdb-%d", b.layers), "root", "csdb.db"))
	if err != nil {
		return err
	}
	add(createBolt(b, info.Size()))
	add(createPeer(b, 0))
	add(createPeer(b, b.layers))
	if err != nil {
		return err
	}
	progress("creating layers")
	// The others rewrite large files, for which whoever syncs next would pay.
	ms, err := measureInTurns(4*b.repeat, subjects[:3]...)
	if err != nil {
		return err
	}
	empty, full, put := ms[0], ms[1], ms[2]
	if ms, err = measureInTurns(b.repeat, subjects[3:]...); err != nil {
		return err
	}
	emptyPeer, fullPeer := ms[0], ms[1]
	what := fmt.Sprintf("create layer, %d layers in the store", b.layers)
	b.report.add("create", what, full, fmt.Sprintf("one bbolt Update with one put, %d MiB file", info.Size()>>20), put, "ms", 3)
	b.report.add("create", what, full, "the same in an empty store", empty, "ms", 1.5)
	b.report.add("create", what, full, "containers/storage", fullPeer, "ms", 0)
	b.report.add("create", "create layer, empty store", empty, "containers/storage", emptyPeer, "ms", 0)
	return nil
}

// createOurs makes a store with n layers, in which layers are to be created.
func createOurs(ctx context.Context, b *bench, n int) (s subject, err error) {
	dir, err := b.sub(fmt.Sprintf("csdb-%d", n))
	if err != nil {
		return s, err
	}
	store, err := openOurs(ctx, dir)
	if err != nil {
		return s, err
	}
	parent, err := fillLayers(ctx, store, n)
	var id model.LayerID
	return subject{
		op: func() error {
			l, err := store.CreateLayer(ctx, graph.LayerSpec{Parent: parent})
			if err == nil {
				id = l.ID
			}
			return err
		},
		undo: func() error { return store.DeleteLayer(ctx, id) },
		end:  store.Close,
	}, err
}

func openOurs(ctx context.Context, dir string) (*graph.Store, error) {
	return graph.Open(ctx, graph.Options{
		Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "overlay",
	})
}

// fillLayers makes n layers in chains of ten and returns a base layer.
func fillLayers(ctx context.Context, store *graph.Store, n int) (parent model.LayerID, err error) {
	for done := 0; done <= n; {
		err := store.Update(ctx, func(tx *graph.Tx) error {
			for range 1000 {
				spec := graph.LayerSpec{}
				if done%10 != 0 {
					spec.Parent = parent
				}
				l, err := tx.CreateLayer(spec)
				if err != nil {
					return err
				}
				parent = l.ID
				if done++; done > n {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return parent, nil
}

// createBolt measures a put of a value of 450 bytes into a bbolt file of the
// given size.
func createBolt(b *bench, size int64) (s subject, err error) {
	dir, err := b.sub("bolt")
	if err != nil {
		return s, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o600, nil)
	if err != nil {
		return s, err
	}
	value := make([]byte, 450)
	name := []byte("layers")
	err = db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(name)
		for range size / 900 {
			if err == nil {
				err = bucket.Put([]byte(model.NewLayerID()), value)
			}
		}
		return err
	})
	return subject{
		op: func() error {
			return db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(name).Put([]byte(model.NewLayerID()), value) })
		},
		undo: func() error { return nil },
		end:  db.Close,
	}, err
}

// createPeer is createOurs with containers/storage.
func createPeer(b *bench, n int) (s subject, err error) {
	dir, err := b.sub(fmt.Sprintf("peer-%d", n))
	if err != nil {
		return s, err
	}
	store, err := openPeer(dir)
	if err != nil {
		return s, err
	}
	parent, err := store.CreateLayer("", "", nil, "", false, nil)
	if err != nil {
		return s, err
	}
	if n > 0 {
		if err := shutdownPeer(store); err != nil {
			return s, err
		}
		if _, err := multiply(filepath.Join(dir, "root", "overlay-layers", "layers.json"), n); err != nil {
			return s, err
		}
		if store, err = openPeer(dir); err != nil {
			return s, err
		}
	}
	var layer *storage.Layer
	return subject{
		op: func() (err error) {
			layer, err = store.CreateLayer("", parent.ID, nil, "", true, nil)
			return err
		},
		undo: func() error { return store.DeleteLayer(layer.ID) },
		end:  func() error { return shutdownPeer(store) },
	}, nil
}

func shutdownPeer(store storage.Store) error {
	_, err := store.Shutdown(true)
	store.Free()
	return err
}
