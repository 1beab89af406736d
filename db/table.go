package db

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/csdb/csdb/model"
)

// table is a bucket whose values are records of one type.
type table[T any] struct{ name bucket }

// decode reads a value of the table.
func (t table[T]) decode(key, value []byte) (*T, error) {
	if value == nil {
		return nil, &RecordError{Bucket: string(t.name), Key: string(key), Err: errIsBucket}
	}
	content, err := unseal(t.name, key, value)
	if err != nil {
		return nil, err
	}
	record := new(T)
	if err := decoding.Unmarshal(content, record); err != nil {
		return nil, &RecordError{Bucket: string(t.name), Key: string(key), Err: err}
	}
	return record, nil
}

// get returns the record with the given key, or an error that matches
// model.ErrNotFound.
func (t table[T]) get(tx *ReadTx, key string) (*T, error) {
	b, err := tx.bucket(t.name)
	if err != nil {
		return nil, err
	}
	value, err := b.get([]byte(key))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, model.ErrNotFound
	}
	return t.decode([]byte(key), value)
}

// has tells whether there is a record with the given key, damaged or not.
func (t table[T]) has(tx *ReadTx, key string) (bool, error) {
	b, err := tx.bucket(t.name)
	if err != nil {
		return false, err
	}
	value, err := b.get([]byte(key))
	if errors.Is(err, errIsBucket) {
		return true, nil
	}
	return value != nil, err
}

// put stores a record. One that could not be read back is refused.
func (t table[T]) put(tx *Tx, key string, record *T) error {
	b, err := tx.bucket(t.name)
	if err != nil {
		return err
	}
	content, err := encoding.Marshal(record)
	if err == nil {
		err = decoding.Unmarshal(content, new(T))
	}
	if err != nil {
		return fmt.Errorf("record %s/%s: %w: %w", t.name, printable(key), model.ErrInvalid, err)
	}
	value := seal(t.name, []byte(key), content)
	tx.space.write(len(key) + len(value))
	return b.put([]byte(key), value)
}

// remove deletes a record; there need not be one.
func (t table[T]) remove(tx *Tx, key string) error {
	b, err := tx.bucket(t.name)
	if err != nil {
		return err
	}
	return b.remove([]byte(key))
}

// all calls fn for each record whose key begins with prefix, in the order of
// the keys. Damaged records are passed over; the error joins what is wrong
// with them. It stops at an error of fn.
func (t table[T]) all(tx *ReadTx, prefix string, fn func(key string, record *T) error) error {
	b, err := tx.bucket(t.name)
	if err != nil {
		return err
	}
	var damage []error
	err = b.scan([]byte(prefix), func(key, value []byte) error {
		record, err := t.decode(key, value)
		if err != nil {
			damage = append(damage, err)
			return nil
		}
		return fn(string(key), record)
	})
	if err != nil {
		return err
	}
	return errors.Join(damage...)
}

// keysWith returns what stands behind prefix in the keys of a bucket that
// begin with it, in their order.
func keysWith(tx *ReadTx, in bucket, prefix string) ([]string, error) {
	b, err := tx.bucket(in)
	if err != nil {
		return nil, err
	}
	var rests []string
	err = b.scan([]byte(prefix), func(key, _ []byte) error {
		rests = append(rests, string(bytes.TrimPrefix(key, []byte(prefix))))
		return nil
	})
	return rests, err
}
