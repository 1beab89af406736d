package db

import (
	"strings"

	"github.com/csdb/csdb/model"
)

// numbered makes a bucket give out the number that a record had.
func numbered(tx *Tx, in bucket, r *SalvagedRecord) error {
	t, err := tx.bucket(in)
	if err != nil {
		return err
	}
	if seq := orderOf(r); seq < maxSeq {
		return t.setNumber(seq - 1)
	}
	return nil
}

// putObject stores a layer, image or container.
func putObject(tx *Tx, r *SalvagedRecord) error {
	if err := numbered(tx, r.bucket, r); err != nil {
		return err
	}
	switch o := r.record.(type) {
	case *model.Layer:
		layer := *o
		return tx.CreateLayer(&layer)
	case *model.Image:
		image := *o
		return tx.CreateImage(&image)
	case *model.Container:
		container := *o
		return tx.CreateContainer(&container)
	}
	return nil
}

// putItem stores a data item.
func putItem(tx *Tx, r *SalvagedRecord) error {
	item, ok := r.record.(*model.Data)
	if !ok {
		return nil
	}
	if err := numbered(tx, r.bucket, r); err != nil {
		return err
	}
	kind, id, _ := r.Object()
	_, err := tx.PutData(kind, id, *item)
	return err
}

// putTrash stores what is to be removed, since when it was.
func putTrash(tx *Tx, r *SalvagedRecord) error {
	t, ok := r.record.(*Trash)
	if !ok {
		return nil
	}
	return trash.put(tx, t.Path, t)
}

// putApp stores a value of an embedding program.
func putApp(tx *Tx, r *SalvagedRecord) error {
	value, ok := r.record.([]byte)
	if !ok || len(r.path) < 3 {
		return nil
	}
	app := tx.App(r.path[2])
	for _, name := range r.path[3:] {
		app = app.Bucket(name)
	}
	return app.Put([]byte(r.Key), value)
}

// putPlace stores what is noted about other places.
func putPlace(tx *Tx, r *SalvagedRecord) error {
	switch v := r.record.(type) {
	case *Hold:
		return holds.put(tx, r.Key, v)
	case *Elsewhere:
		return elsewhere.put(tx, r.Key, v)
	case *Prepared:
		return prepared.put(tx, r.Key, v)
	case *Decided:
		return decided.put(tx, r.Key, v)
	case *RunRoot:
		return runRoots.put(tx, r.Key, v)
	}
	return nil
}

// putJournal stores an entry of the journal as it was.
func putJournal(tx *Tx, r *SalvagedRecord) error {
	entry, ok := r.record.(*JournalEntry)
	if !ok {
		return nil
	}
	t, err := tx.bucket(bucketJournal)
	if err != nil {
		return err
	}
	if t.bolt.Sequence() < entry.Seq && entry.Seq < maxSeq {
		if err := t.setNumber(entry.Seq); err != nil {
			return err
		}
	}
	return journal.put(tx, strings.Clone(r.Key), entry)
}
