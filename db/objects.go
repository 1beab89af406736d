package db

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/csdb/csdb/model"
)

// objects says how the records of one kind are kept.
type objects[R any] struct {
	table[R]
	kind model.Kind
	// head gives access to what the records of all kinds have.
	head func(*R) head
	// links lists the index entries that a record stands for.
	links func(*R) []link
}

// head is what the records of all kinds have.
type head struct {
	id       string
	names    *[]string
	created  *time.Time
	seq      *uint64
	metadata *string
}

// keeper is what can be done with objects whatever their kind is.
type keeper interface {
	has(tx *ReadTx, id string) (bool, error)
	names(tx *ReadTx, id string) ([]string, error)
	setNames(tx *Tx, id string, names []string, history bool) error
	metadata(tx *ReadTx, id string) (string, error)
	setMetadata(tx *Tx, id, text string) error
}

// keeperOf returns the keeper of a kind.
func keeperOf(kind model.Kind) keeper {
	switch kind {
	case model.KindLayer:
		return layers
	case model.KindImage:
		return images
	case model.KindContainer:
		return containers
	}
	panic(fmt.Sprintf("unknown kind %q", kind))
}

// load returns the record of an object.
func (o objects[R]) load(tx *ReadTx, id string) (*R, error) {
	r, err := o.get(tx, id)
	if errors.Is(err, model.ErrNotFound) {
		return nil, model.Unknown(o.kind, id)
	}
	if err == nil && o.head(r).id != id {
		err = &RecordError{Bucket: string(o.name), Key: id, Err: fmt.Errorf("belongs to %q", o.head(r).id)}
	}
	return r, model.OnObject(o.kind, id, err)
}

// list returns all records in the order of their creation. If some are
// damaged, it returns the others and an error.
func (o objects[R]) list(tx *ReadTx) ([]*R, error) {
	var all []*R
	err := o.all(tx, "", func(_ string, r *R) error {
		all = append(all, r)
		return nil
	})
	slices.SortFunc(all, o.bySeq)
	return all, err
}

// bySeq orders records by when they were created.
func (o objects[R]) bySeq(a, b *R) int { return cmp.Compare(*o.head(a).seq, *o.head(b).seq) }

// create stores a new record. Its ID and its names must be free. The number in
// the order of creation is set, and the time if it is zero.
func (o objects[R]) create(tx *Tx, r *R) error {
	h := o.head(r)
	if err := model.ValidateID(o.kind, h.id); err != nil {
		return err
	}
	if err := tx.space.toGrow(); err != nil {
		return model.OnObject(o.kind, h.id, err)
	}
	if taken, err := o.has(&tx.ReadTx, h.id); err != nil {
		return err
	} else if taken {
		return model.OnObject(o.kind, h.id, model.ErrDuplicateID)
	}
	names := model.UniqueNames(*h.names...)
	for _, name := range names {
		if err := model.ValidateName(name); err != nil {
			return model.OnObject(o.kind, h.id, err)
		}
		owner, err := tx.NameOwner(o.kind, name)
		if err == nil {
			return model.OnObject(o.kind, owner, fmt.Errorf("name %q: %w", name, model.ErrDuplicateName))
		}
		if !errors.Is(err, model.ErrNotFound) {
			return err
		}
	}
	b, err := tx.bucket(o.name)
	if err != nil {
		return err
	}
	seq, err := b.next()
	if err != nil {
		return err
	}
	*h.names, *h.seq = names, seq
	if h.created.IsZero() {
		*h.created = tx.now
	}
	*h.created = h.created.UTC()
	if err := o.put(tx, h.id, r); err != nil {
		return err
	}
	if err := tx.created(o.kind, r); err != nil {
		return err
	}
	tx.note(OpCreate, o.kind, h.id, names)
	return tx.relink(nil, o.links(r))
}

// update changes a record. What fn makes of it replaces it, and the indexes
// follow. ID, number and time of creation cannot be changed. The journal has it
// under op, or not at all if op is "".
func (o objects[R]) update(tx *Tx, op Op, id string, fn func(*R) error) (*R, error) {
	old, err := o.load(&tx.ReadTx, id)
	if err != nil {
		return nil, err
	}
	changed, err := o.load(&tx.ReadTx, id)
	if err != nil {
		return nil, err
	}
	if err := fn(changed); err != nil {
		return nil, err
	}
	before, after := o.head(old), o.head(changed)
	if before.id != after.id || *before.seq != *after.seq || !before.created.Equal(*after.created) {
		return nil, model.OnObject(o.kind, id, fmt.Errorf("%w: its identity cannot be changed", model.ErrInvalid))
	}
	if err := o.put(tx, id, changed); err != nil {
		return nil, err
	}
	if err := tx.changed(old, changed); err != nil {
		return nil, err
	}
	if op != "" {
		tx.note(op, o.kind, id, *after.names)
	}
	return changed, tx.relink(o.links(old), o.links(changed))
}

// delete removes a record, its data items, and every index entry that it
// stands for. It returns the record and the files of the data items, which
// nothing refers to any more.
func (o objects[R]) delete(tx *Tx, id string) (*R, []model.Content, error) {
	r, err := o.load(&tx.ReadTx, id)
	if err != nil {
		return nil, nil, err
	}
	files, err := tx.removeAllData(o.kind, id)
	if err != nil {
		return nil, nil, err
	}
	if err := tx.relink(o.links(r), nil); err != nil {
		return nil, nil, err
	}
	if err := tx.deleted(o.kind, r); err != nil {
		return nil, nil, err
	}
	tx.note(OpDelete, o.kind, id, *o.head(r).names)
	return r, files, o.remove(tx, id)
}

// names returns the names of an object.
func (o objects[R]) names(tx *ReadTx, id string) ([]string, error) {
	r, err := o.load(tx, id)
	if err != nil {
		return nil, err
	}
	return *o.head(r).names, nil
}

// metadata returns the metadata of an object.
func (o objects[R]) metadata(tx *ReadTx, id string) (string, error) {
	r, err := o.load(tx, id)
	if err != nil {
		return "", err
	}
	return *o.head(r).metadata, nil
}

// setMetadata replaces the metadata of an object.
func (o objects[R]) setMetadata(tx *Tx, id, text string) error {
	_, err := o.update(tx, OpMetadata, id, func(r *R) error {
		*o.head(r).metadata = text
		return nil
	})
	return err
}

// setNames replaces the names of an object, which are free. With history an
// image remembers that it was given them.
func (o objects[R]) setNames(tx *Tx, id string, names []string, history bool) error {
	_, err := o.update(tx, OpRename, id, func(r *R) error {
		*o.head(r).names = names
		if image, ok := any(r).(*model.Image); ok && history {
			image.NamesHistory = model.RecordNames(image.NamesHistory, names)
		}
		return nil
	})
	return err
}
