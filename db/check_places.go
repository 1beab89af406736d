package db

import (
	"errors"
	"fmt"

	"github.com/csdb/csdb/model"
)

// noted is what the records have in common that tell of other places: they are
// found under a key that follows from them.
type noted interface {
	// at returns the key.
	at() string
	// object returns what the record is about, if that is an object.
	object() (model.Kind, string)
	// check returns an error if the record makes no sense.
	check() error
}

func (h *Hold) at() string      { return h.key() }
func (e *Elsewhere) at() string { return e.key() }
func (p *Prepared) at() string  { return p.Tx }
func (d *Decided) at() string   { return d.Store }
func (r *RunRoot) at() string   { return r.Path }

func (h *Hold) object() (model.Kind, string)      { return h.Kind, h.ID }
func (e *Elsewhere) object() (model.Kind, string) { return e.Kind, e.ID }
func (p *Prepared) object() (model.Kind, string)  { return "", "" }
func (d *Decided) object() (model.Kind, string)   { return "", "" }
func (r *RunRoot) object() (model.Kind, string)   { return "", "" }

func (p *Prepared) check() error { return checkStoreID(p.Coordinator) }
func (d *Decided) check() error  { return checkStoreID(d.Store) }
func (r *RunRoot) check() error  { return checkRunRoot(r.Path) }

// placeBuckets are the buckets with records that tell of other places.
var placeBuckets = []bucket{bucketHolds, bucketElsewhere, bucketPrepared, bucketDecided, bucketRuns}

// decodePlace returns the record in one of the placeBuckets. A value that does not
// belong to its key is an error.
func decodePlace(in bucket, key, value []byte) (noted, error) {
	var record noted
	var err error
	switch in {
	case bucketHolds:
		record, err = decodeNoted[Hold, *Hold](holds, key, value)
	case bucketElsewhere:
		record, err = decodeNoted[Elsewhere, *Elsewhere](elsewhere, key, value)
	case bucketPrepared:
		record, err = decodeNoted[Prepared, *Prepared](prepared, key, value)
	case bucketDecided:
		record, err = decodeNoted[Decided, *Decided](decided, key, value)
	case bucketRuns:
		record, err = decodeNoted[RunRoot, *RunRoot](runRoots, key, value)
	default:
		return nil, errForeign
	}
	if err != nil {
		return nil, err
	}
	return record, nil
}

// notedAs is a pointer to a T that is a record about other places.
type notedAs[T any] interface {
	*T
	noted
}

func decodeNoted[T any, P notedAs[T]](t table[T], key, value []byte) (P, error) {
	record, err := t.decode(key, value)
	if err == nil {
		err = sensible[T, P](t, string(key), record)
	}
	if err != nil {
		return nil, err
	}
	return record, nil
}

// sensible returns an error if a record makes no sense, or belongs to another key.
func sensible[T any, P notedAs[T]](t table[T], key string, record P) error {
	err := record.check()
	if at := record.at(); err == nil && at != key {
		err = fmt.Errorf("has the key %s", printable(at))
	}
	if err != nil {
		return &RecordError{Bucket: string(t.name), Key: key, Err: err}
	}
	return nil
}

// listOf returns the records whose keys begin with prefix, in the order of the
// keys. If some are damaged, it returns the others and an error.
func listOf[T any, P notedAs[T]](tx *ReadTx, t table[T], prefix string) ([]T, error) {
	var all []T
	var damage []error
	err := t.all(tx, prefix, func(key string, record *T) error {
		if err := sensible[T, P](t, key, record); err != nil {
			damage = append(damage, err)
			return nil
		}
		all = append(all, *record)
		return nil
	})
	return all, errors.Join(append(damage, err)...)
}

// checkPlaces looks whether what is noted about other places can be read, and
// whether it is about anything.
func (c *checker) checkPlaces() error {
	for _, in := range placeBuckets {
		err := c.eachKey(in, func(key string, value []byte) error {
			record, err := decodePlace(in, []byte(key), value)
			if err != nil {
				return c.damaged(err, in, key, "", "")
			}
			return c.checkPlace(in, key, record)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkPlace(in bucket, key string, record noted) error {
	kind, id := record.object()
	idle, err := c.tx.idlePlace(record)
	if err != nil || !idle {
		return err
	}
	if in == bucketHolds {
		c.add(ProblemHold, in, key, kind, id, "an object that another store needs", "no such "+string(kind))
	} else {
		c.add(ProblemElsewhere, in, key, kind, id, "a record that refers to the "+string(kind), "none")
	}
	return nil
}

// idlePlace tells whether a record about other places is of no use: a hold on an
// object that does not exist, or the place of one to which nothing refers.
func (tx *ReadTx) idlePlace(record noted) (bool, error) {
	kind, id := record.object()
	var needed bool
	var err error
	switch record.(type) {
	case *Hold:
		needed, err = keeperOf(kind).has(tx, id)
	case *Elsewhere:
		needed, err = tx.IsReferred(kind, id)
	default:
		return false, nil
	}
	return !needed && err == nil, err
}

// mendPlaces drops what is noted about other places and of no use, or cannot be
// read. But a damaged note about where an object is still tells that it is
// somewhere, and one about a decision that something was decided.
func (m *mender) mendPlaces() error {
	for _, in := range placeBuckets {
		var wrong []string
		err := m.eachKey(in, func(key string, value []byte) error {
			record, err := decodePlace(in, []byte(key), value)
			if err != nil {
				if in != bucketElsewhere && in != bucketDecided {
					wrong = append(wrong, key)
				}
				return ignoreDamage(err)
			}
			idle, err := m.tx.idlePlace(record)
			if idle && !m.lost {
				wrong = append(wrong, key)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := m.remove(in, wrong); err != nil {
			return err
		}
	}
	return nil
}
