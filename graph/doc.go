// Package graph is the store: layers, images and containers with their
// contents. It is what programs embed.
//
// A Store joins three things: the database, which has all records and changes
// only by transactions (package db); the content files with big data (package
// graph/content); and a driver, which keeps the contents of layers and mounts
// them (package drivers). The database is the truth: what it does not mention
// is garbage.
//
// # The life of an object
//
// Content comes first, then the record, and garbage goes last:
//
//	         stage (long, no lock)        commit (short, locked)   reap (long, no lock)
//	layer    directory, unpack, hash,     record, names, indexes   after a deletion:
//	         tar-split, sync                                       remove directory
//	data     write, sync, name, sync      record                   after a replacement
//	                                                               or deletion: unlink
//	image    -                            record, names, indexes   -
//	container -                           record, record of its    -
//	                                      layer
//
// So there is no instant at which a record refers to something that is not
// there, whole and durable. What a crash can leave over is content without
// record; Recover finds and removes it. Programs can make several objects, and
// state of their own, appear in one instant:
//
//	base, err := store.StageLayer(ctx, graph.LayerSpec{}, baseTar)
//	if err != nil {
//		return err
//	}
//	defer base.Discard(ctx) // does nothing once base is committed
//	config, err := store.StageData(ctx, graph.DataSpec{}, configReader)
//	if err != nil {
//		return err
//	}
//	defer config.Discard(ctx)
//	return store.Update(ctx, func(tx *graph.Tx) error {
//		layer, err := tx.AddLayer(base)
//		if err != nil {
//			return err
//		}
//		image, err := tx.CreateImage(graph.ImageSpec{TopLayer: layer.ID, Names: []string{"app:1"}})
//		if err != nil {
//			return err
//		}
//		if err := tx.SetData(image.ID, "config", config); err != nil {
//			return err
//		}
//		return tx.Bucket("com.example.engine").Put([]byte(image.ID), myState)
//	})
//
// # Locks
//
// A transaction holds the lock on the database, for milliseconds. Whoever makes
// or removes content at a path holds a lock on that path. Whoever makes, mounts
// or changes a layer holds the lock on that layer, and whoever reads its
// content for a diff holds it shared; a layer is locked before its parent. The
// lock on the database is taken last and alone, but for the one on the run
// database: within the transaction that deletes something leases are read, and
// they are given within one that keeps everybody from deleting. All locks vanish
// with the process that holds them.
//
// # Leases
//
// A Lease keeps objects from being deleted for a limited time, for whoever is
// about to use them. Everything that deletes heeds it, Store.Collect too.
package graph
