package db

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// tree is a bucket of bbolt. It lets bbolt nowhere that the guard has not been
// before.
type tree struct {
	tx   *ReadTx
	in   *tree  // the one that it lies in
	own  string // name, without those that it lies in
	name bucket // with those that it lies in, but for the root bucket
	// bolt is nil for a bucket that an older schema does not have: it is empty.
	bolt *bolt.Bucket
	// inline is the page of a bucket that lies in an element of another one.
	inline *page
}

// damaged says that the pages of the bucket are not as they should be.
func (t *tree) damaged(err error) error {
	return &DamageError{Path: t.tx.path, Err: fmt.Errorf("bucket %s: %w", cmp.Or(t.name, rootBucket), err)}
}

// usable returns an error if the transaction has ended.
func (t *tree) usable() error {
	if t.tx.bolt == nil {
		return errDone
	}
	return nil
}

// look makes sure that bbolt can go to a key, and returns where it was when the
// transaction began.
func (t *tree) look(key []byte) (to place, err error) {
	if err := t.usable(); err != nil || t.bolt == nil {
		return to, err
	}
	switch root := uint64(t.bolt.Root()); {
	case root != 0:
		to, err = t.tx.guard.find(root, key)
	case t.inline != nil:
		to.leaf = t.inline
		to.index, to.exact, err = t.inline.search(key)
	}
	if err != nil {
		return to, t.damaged(err)
	}
	return to, nil
}

// errIsBucket is the error of get for the key of a bucket.
var errIsBucket = errors.New("a bucket instead of a value")

// get returns the value of a key, which is valid until the transaction ends, or
// nil if there is none.
func (t *tree) get(key []byte) ([]byte, error) {
	to, err := t.look(key)
	if err != nil || t.bolt == nil {
		return nil, err
	}
	value := t.bolt.Get(key)
	if value == nil && to.exact {
		if e, err := to.leaf.element(to.index); err == nil && e.isBucket() {
			return nil, &RecordError{Bucket: string(t.name), Key: string(key), Err: errIsBucket}
		}
	}
	return value, nil
}

// put stores a value, which must not be changed until the transaction ends.
func (t *tree) put(key, value []byte) error {
	if _, err := t.look(key); err != nil {
		return err
	}
	if t.bolt == nil {
		return t.tx.missing(t.name)
	}
	return t.did(t.bolt.Put(key, value), Step{Do: StepPut, Key: key, Value: value})
}

// remove deletes a key with its value; there need not be one.
func (t *tree) remove(key []byte) error {
	to, err := t.look(key)
	if err != nil {
		return err
	}
	if t.bolt == nil {
		return nil // and there is none
	}
	if err := t.tx.guard.neighbors(to); err != nil {
		return t.damaged(err)
	}
	return t.did(t.bolt.Delete(key), Step{Do: StepRemove, Key: key})
}

// next returns a number greater than all it has returned before.
func (t *tree) next() (uint64, error) {
	if _, err := t.look(nil); err != nil {
		return 0, err
	}
	n := t.bolt.Sequence() + 1
	return n, t.setNumber(n)
}

// setNumber sets the number that next has returned last.
func (t *tree) setNumber(n uint64) error {
	if _, err := t.look(nil); err != nil {
		return err
	}
	return t.did(t.bolt.SetSequence(n), Step{Do: StepNumber, Number: n})
}

// did classifies the error of a change, and notes the change if there is none and
// the transaction wants to know.
func (t *tree) did(err error, step Step) error {
	if err != nil {
		return classify(t.tx.path, err)
	}
	if t.tx.steps != nil {
		step.Bucket, step.Key = t.path(), bytes.Clone(step.Key)
		*t.tx.steps = append(*t.tx.steps, step)
	}
	return nil
}

// path returns the names of the buckets that lead to this one from the root
// bucket.
func (t *tree) path() []string {
	if t.in == nil || t == t.tx.root {
		return nil
	}
	return append(t.in.path(), t.own)
}

// bucket returns a bucket within this one, or nil if there is none.
func (t *tree) bucket(name string) (*tree, error) {
	to, err := t.look([]byte(name))
	if err != nil {
		return nil, err
	}
	inner := t.child(name)
	if to.exact {
		if inner.inline, err = to.inner(); err != nil {
			return nil, inner.damaged(err)
		}
	}
	if inner.bolt = t.bolt.Bucket([]byte(name)); inner.bolt == nil {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	for outer := t; outer != nil; outer = outer.in {
		if root := inner.bolt.Root(); root != 0 && root == outer.bolt.Root() {
			return nil, inner.damaged(fmt.Errorf("it lies within itself, on page %d", root))
		}
	}
	return inner, nil
}

// child returns the tree of a bucket within this one, without its bucket.
func (t *tree) child(name string) *tree {
	inner := &tree{tx: t.tx, in: t, own: name, name: bucket(name)}
	if t.name != "" {
		inner.name = t.name + "/" + inner.name
	}
	return inner
}

// inner returns the page that lies in an element which is a small bucket, or
// nil. It makes sure that a bucket is one.
func (to place) inner() (*page, error) {
	e, err := to.leaf.element(to.index)
	if err != nil || !e.isBucket() {
		return nil, err
	}
	_, inline, err := to.leaf.bucket(e)
	if err != nil || inline == nil {
		return nil, err
	}
	if err := inline.each(nil); err != nil {
		return nil, err
	}
	return inline, nil
}

// makeBucket returns a bucket within this one, which it makes if need be.
func (t *tree) makeBucket(name string) (*tree, error) {
	inner, err := t.bucket(name)
	if err != nil || inner != nil {
		return inner, err
	}
	inner = t.child(name)
	inner.bolt, err = t.bolt.CreateBucket([]byte(name))
	return inner, t.did(err, Step{Do: StepMakeBucket, Key: []byte(name)})
}

// removeBucket removes a bucket within this one with all that is in it; there
// need not be one.
func (t *tree) removeBucket(name string) error {
	to, err := t.look([]byte(name))
	if err != nil {
		return err
	}
	if inner, err := t.bucket(name); err != nil || inner == nil {
		return err
	}
	if to.exact {
		if err := t.tx.guard.whole(to); err != nil {
			return t.damaged(err)
		}
	}
	if err := t.tx.guard.neighbors(to); err != nil {
		return t.damaged(err)
	}
	return t.did(t.bolt.DeleteBucket([]byte(name)), Step{Do: StepRemoveBucket, Key: []byte(name)})
}
