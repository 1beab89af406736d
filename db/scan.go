package db

import (
	"bytes"
	"errors"
)

// scan calls fn for each key that begins with prefix, in the order of the keys,
// until it returns an error. The value of a bucket is nil. fn must not change
// the bucket.
func (t *tree) scan(prefix []byte, fn func(key, value []byte) error) error {
	return t.scanFrom(prefix, func(key, value []byte) error {
		if !bytes.HasPrefix(key, prefix) {
			return errStop
		}
		return fn(key, value)
	})
}

// errStop ends a scan.
var errStop = errors.New("stop")

// scanFrom is scan for the keys that are not less than from. errStop ends it
// without an error.
func (t *tree) scanFrom(from []byte, fn func(key, value []byte) error) error {
	scout, err := t.scout(from)
	if err != nil || t.bolt == nil {
		return err
	}
	cursor := t.bolt.Cursor()
	for key, value := cursor.Seek(from); key != nil; key, value = cursor.Next() {
		err := fn(key, value)
		if errors.Is(err, errStop) {
			return nil
		}
		if err == nil {
			err = t.usable()
		}
		if err == nil {
			err = scout.ahead(key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scout goes before a cursor, to the leaves that it is about to enter.
type scout struct {
	tree *tree
	at   place
}

// scout prepares a cursor that goes to a key.
func (t *tree) scout(key []byte) (*scout, error) {
	at, err := t.look(key)
	if err != nil {
		return nil, err
	}
	s := &scout{tree: t, at: at}
	if err := s.ahead(key); err != nil {
		return nil, err
	}
	return s, nil
}

// ahead makes sure that the cursor can go on from a key. It may enter the next
// leaf; those behind it only if it is found empty, because the transaction has
// deleted what was in it.
func (s *scout) ahead(key []byte) error {
	for s.at.next != nil {
		last, err := s.at.leaf.keyAt(s.at.leaf.count - 1)
		if err != nil {
			return s.tree.damaged(err)
		}
		if bytes.Compare(key, last) < 0 {
			return nil
		}
		if s.at, err = s.tree.look(s.at.next); err != nil {
			return err
		}
		if alive, err := s.hasKeys(); err != nil || alive {
			return err
		}
		key = s.at.next
	}
	return nil
}

// hasKeys tells whether the leaf in which the scout is has keys that have not
// been deleted.
func (s *scout) hasKeys() (bool, error) {
	if !s.tree.bolt.Writable() {
		return true, nil
	}
	for i := range s.at.leaf.count {
		key, err := s.at.leaf.keyAt(i)
		if err != nil {
			return false, s.tree.damaged(err)
		}
		if s.tree.bolt.Get(key) != nil || s.tree.bolt.Bucket(key) != nil {
			return true, nil
		}
	}
	return false, nil
}
