package db

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/csdb/csdb/model"
)

// ReadBucket is a bucket of an embedding program, which keeps its own state in
// it and has it change together with the records. Keys and values mean nothing
// to the store, but the values have checksums like all others.
//
// A bucket that does not exist can be read: it is empty.
type ReadBucket struct {
	tx   *ReadTx
	name bucket // with the names of the buckets it lies in
	bolt *bbolt.Bucket
	err  error
}

// Bucket is a bucket of an embedding program that can be written to.
type Bucket struct {
	ReadBucket
	tx *Tx
}

// App returns the bucket of the embedding program with the given name, which
// should be one that nobody else will choose, such as "com.example.engine".
func (tx *ReadTx) App(name string) *ReadBucket {
	apps, err := tx.bucket(bucketApps)
	if err == nil {
		err = validateBucket(name)
	}
	b := &ReadBucket{tx: tx, name: bucketApps + "/" + bucket(name), err: err}
	if err == nil {
		b.bolt = apps.Bucket([]byte(name))
	}
	return b
}

// App returns the bucket of the embedding program with the given name, and
// makes it if need be. What goes wrong shows when it is used.
func (tx *Tx) App(name string) *Bucket {
	apps, err := tx.bucket(bucketApps)
	return tx.makeBucket(&ReadBucket{tx: &tx.ReadTx, name: bucketApps, bolt: apps, err: err}, name)
}

func validateBucket(name string) error {
	if err := model.ValidateName(name); err != nil {
		return fmt.Errorf("bucket: %w", err)
	}
	return nil
}

// makeBucket returns a bucket within another one.
func (tx *Tx) makeBucket(in *ReadBucket, name string) *Bucket {
	b := &Bucket{ReadBucket: ReadBucket{tx: &tx.ReadTx, name: in.name + "/" + bucket(name), err: in.err}, tx: tx}
	if b.err == nil {
		b.err = validateBucket(name)
	}
	if b.err == nil {
		b.bolt, b.err = in.bolt.CreateBucketIfNotExists([]byte(name))
	}
	if b.err != nil {
		b.err = b.explain(b.err)
	}
	return b
}

// explain gives an error of bbolt its class and the bucket's name.
func (b *ReadBucket) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, bolterrors.ErrIncompatibleValue) {
		err = fmt.Errorf("%w: a bucket and a value cannot have the same key", model.ErrInvalid)
	}
	return fmt.Errorf("bucket %s: %w", b.name, classify(b.tx.path, err))
}

// usable returns the error that keeps the bucket from being used, if any.
func (b *ReadBucket) usable() error {
	if b.err == nil && b.tx.bolt == nil {
		return errDone
	}
	return b.err
}

// Get returns the value with the given key, or an error that matches
// model.ErrNotFound.
func (b *ReadBucket) Get(key []byte) ([]byte, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	if b.bolt == nil {
		return nil, fmt.Errorf("bucket %s: %q: %w", b.name, key, model.ErrNotFound)
	}
	value := b.bolt.Get(key)
	if value == nil {
		return nil, fmt.Errorf("bucket %s: %q: %w", b.name, key, model.ErrNotFound)
	}
	content, err := unseal(b.name, key, value)
	return bytes.Clone(content), err
}

// Each calls fn for each value whose key begins with prefix, in the order of
// the keys, and stops at its first error. fn may not change the bucket.
func (b *ReadBucket) Each(prefix []byte, fn func(key, value []byte) error) error {
	if err := b.usable(); err != nil || b.bolt == nil {
		return err
	}
	cursor := b.bolt.Cursor()
	for key, value := cursor.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix); key, value = cursor.Next() {
		if value == nil { // a bucket
			continue
		}
		content, err := unseal(b.name, key, value)
		if err != nil {
			return err
		}
		if err := fn(bytes.Clone(key), bytes.Clone(content)); err != nil {
			return err
		}
	}
	return nil
}

// Bucket returns a bucket within this one.
func (b *ReadBucket) Bucket(name string) *ReadBucket {
	inner := &ReadBucket{tx: b.tx, name: b.name + "/" + bucket(name), err: b.usable()}
	if inner.err == nil && b.bolt != nil {
		inner.bolt = b.bolt.Bucket([]byte(name))
	}
	return inner
}

// Put stores a value. The key may not be empty nor longer than 32 KiB.
func (b *Bucket) Put(key, value []byte) error {
	if err := b.usable(); err != nil {
		return err
	}
	if err := b.tx.space.toGrow(); err != nil {
		return b.explain(err)
	}
	b.tx.noteApp(b.name)
	return b.explain(b.bolt.Put(key, seal(b.name, key, value)))
}

// Delete removes a value; there need not be one.
func (b *Bucket) Delete(key []byte) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.tx.noteApp(b.name)
	return b.explain(b.bolt.Delete(key))
}

// Bucket returns a bucket within this one, and makes it if need be.
func (b *Bucket) Bucket(name string) *Bucket {
	if b.err == nil {
		b.err = b.usable()
	}
	b.tx.noteApp(b.name)
	return b.tx.makeBucket(&b.ReadBucket, name)
}

// DeleteBucket removes a bucket within this one with all that is in it; it
// need not exist.
func (b *Bucket) DeleteBucket(name string) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.tx.noteApp(b.name)
	err := b.bolt.DeleteBucket([]byte(name))
	if errors.Is(err, bolterrors.ErrBucketNotFound) {
		return nil
	}
	return b.explain(err)
}

// noteApp notes once for each bucket that a transaction changed it.
func (tx *Tx) noteApp(name bucket) {
	last := len(tx.changes) - 1
	if last < 0 || tx.changes[last].Op != OpApp || tx.changes[last].ID != string(name) {
		tx.note(OpApp, "", string(name), nil)
	}
}
