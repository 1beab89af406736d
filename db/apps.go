package db

import (
	"bytes"
	"errors"
	"fmt"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/csdb/csdb/model"
)

// ReadBucket is a bucket of an embedding program, which keeps its own state in
// it and has it change together with the records. Keys and values mean nothing
// to the store, but the values have checksums like all others.
//
// A bucket that does not exist can be read: it is empty.
type ReadBucket struct {
	tx    *ReadTx
	name  bucket // with the names of the buckets it lies in
	depth int    // how many those are
	tree  *tree  // nil if the bucket does not exist
	err   error
}

// MaxNesting is how many buckets, one in another, an embedding program may
// have.
const MaxNesting = 32

// Bucket is a bucket of an embedding program that can be written to.
type Bucket struct {
	ReadBucket
	tx *Tx
}

// App returns the bucket of the embedding program with the given name, which
// should be one that nobody else will choose, such as "com.example.engine".
// What goes wrong shows when it is used.
func (tx *ReadTx) App(name string) *ReadBucket {
	apps, err := tx.bucket(bucketApps)
	return (&ReadBucket{tx: tx, name: bucketApps, tree: apps, err: err}).Bucket(name)
}

// App returns the bucket of the embedding program with the given name, and
// makes it if need be. What goes wrong shows when it is used.
func (tx *Tx) App(name string) *Bucket {
	apps, err := tx.bucket(bucketApps)
	return (&Bucket{ReadBucket: ReadBucket{tx: &tx.ReadTx, name: bucketApps, tree: apps, err: err}, tx: tx}).Bucket(name)
}

// Bucket returns a bucket within this one.
func (b *ReadBucket) Bucket(name string) *ReadBucket {
	inner := b.inner(name)
	if inner.err == nil && b.tree != nil {
		inner.tree, inner.err = b.tree.bucket(name)
	}
	inner.err = inner.explain(inner.err)
	return &inner
}

// Bucket returns a bucket within this one, and makes it if need be.
func (b *Bucket) Bucket(name string) *Bucket {
	inner := &Bucket{ReadBucket: b.inner(name), tx: b.tx}
	if inner.err == nil {
		inner.tree, inner.err = b.tree.bucket(name)
	}
	if inner.err == nil && inner.tree == nil {
		inner.tree, inner.err = b.tree.makeBucket(name)
		b.tx.noteApp(inner.name)
	}
	inner.err = inner.explain(inner.err)
	return inner
}

// inner describes a bucket within this one.
func (b *ReadBucket) inner(name string) ReadBucket {
	inner := ReadBucket{tx: b.tx, name: b.name + "/" + bucket(name), depth: b.depth + 1, err: b.usable()}
	if inner.err == nil {
		inner.err = model.ValidateName(name)
	}
	if inner.err == nil && inner.depth > MaxNesting {
		inner.err = fmt.Errorf("%w: more than %d buckets, one in another", model.ErrInvalid, MaxNesting)
	}
	return inner
}

// explain gives an error its class and the bucket's name.
func (b *ReadBucket) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, bolterrors.ErrIncompatibleValue) {
		err = fmt.Errorf("%w: a bucket and a value cannot have the same key", model.ErrInvalid)
	}
	return fmt.Errorf("bucket %s: %w", b.name, err)
}

// usable returns the error that keeps the bucket from being used, if any.
func (b *ReadBucket) usable() error {
	if b.err == nil && b.tx.bolt == nil {
		return b.explain(errDone)
	}
	return b.err
}

// Get returns the value with the given key, or an error that matches
// model.ErrNotFound.
func (b *ReadBucket) Get(key []byte) ([]byte, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	var value []byte
	if b.tree != nil {
		var err error
		value, err = b.tree.get(key)
		if err != nil && !errors.Is(err, errIsBucket) {
			return nil, b.explain(err)
		}
	}
	if value == nil {
		return nil, b.explain(fmt.Errorf("%q: %w", key, model.ErrNotFound))
	}
	content, err := unseal(b.name, key, value)
	return bytes.Clone(content), err
}

// Each calls fn for each value whose key begins with prefix, in the order of
// the keys, and stops at its first error. fn may not change the bucket.
// Damaged values are passed over; the error joins what is wrong with them.
func (b *ReadBucket) Each(prefix []byte, fn func(key, value []byte) error) error {
	if err := b.usable(); err != nil || b.tree == nil {
		return err
	}
	var damage []error
	err := b.tree.scan(prefix, func(key, value []byte) error {
		if value == nil {
			return nil // a bucket
		}
		content, err := unseal(b.name, key, value)
		if err != nil {
			damage = append(damage, err)
			return nil
		}
		return fn(bytes.Clone(key), bytes.Clone(content))
	})
	if err != nil {
		return err
	}
	return errors.Join(damage...)
}

// Buckets returns the names of the buckets in this one, in their order.
func (b *ReadBucket) Buckets() ([]string, error) {
	if err := b.usable(); err != nil || b.tree == nil {
		return nil, err
	}
	var names []string
	err := b.tree.scan(nil, func(key, value []byte) error {
		if value == nil {
			names = append(names, string(key))
		}
		return nil
	})
	return names, b.explain(err)
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
	b.tx.space.write(len(key) + len(value))
	return b.explain(b.tree.put(key, seal(b.name, key, value)))
}

// Delete removes a value; there need not be one.
func (b *Bucket) Delete(key []byte) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.tx.noteApp(b.name)
	return b.explain(b.tree.remove(key))
}

// DeleteBucket removes a bucket within this one with all that is in it; it
// need not exist. Who still has it, or one of those in it, must not use it.
func (b *Bucket) DeleteBucket(name string) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.tx.noteApp(b.name)
	return b.explain(b.tree.removeBucket(name))
}

// noteApp notes once for each bucket that a transaction changed it.
func (tx *Tx) noteApp(name bucket) {
	last := len(tx.changes) - 1
	if last < 0 || tx.changes[last].Op != OpApp || tx.changes[last].ID != string(name) {
		tx.note(OpApp, "", string(name), nil)
	}
}
