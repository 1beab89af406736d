package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

// Remains is what the indexes tell about an object whose record cannot be read.
type Remains struct {
	Names []string
	// Parent, Diff and TarSplit are those of a layer: the parent, the digest of
	// the diff, and the path of the tar-split.
	Parent   model.LayerID
	Diff     digest.Digest
	TarSplit string
	// Layer is the own layer of a container.
	Layer model.LayerID
}

// IsUnreadable tells whether an object is there and its record is damaged.
func (tx *ReadTx) IsUnreadable(kind model.Kind, id string) (bool, error) {
	_, err := keeperOf(kind).names(tx, id)
	if record, ok := errors.AsType[*RecordError](err); ok && record.Bucket == string(recordsOf(kind)) && record.Key == id {
		return true, nil
	}
	return false, ignoreMissing(err)
}

// Remains returns what the indexes tell about an object whose record is damaged,
// for which all of them are read.
func (tx *ReadTx) Remains(ctx context.Context, kind model.Kind, id string) (*Remains, error) {
	r := &Remains{}
	c := newChecker(ctx, tx)
	for _, in := range buckets {
		owner := linkOwner(in)
		if owner == nil {
			continue
		}
		err := c.eachLink(in, func(l link, damaged error) error {
			if ofKind, of := owner(l); damaged == nil && ofKind == kind && of == id {
				r.add(l, id)
			}
			return ignoreDamage(damaged)
		})
		if err != nil {
			return nil, model.OnObject(kind, id, err)
		}
	}
	return r, nil
}

// add adds what an index entry tells.
func (r *Remains) add(l link, id string) {
	first, _, _ := strings.Cut(l.key, separator)
	switch l.in { //nolint:exhaustive // The others tell nothing that is wanted.
	case bucketLayerNames, bucketImageNames, bucketContainerNames:
		r.Names = append(r.Names, l.key)
	case bucketChildren:
		r.Parent = model.LayerID(first)
	case bucketDiffDigest:
		r.Diff = digest.Digest(first)
	case bucketLayerContainers:
		r.Layer = model.LayerID(first)
	case bucketFiles:
		if l.value == joinKey(string(model.KindLayer), id, "") {
			r.TarSplit = l.key
		}
	}
}

// DiscardUnreadable removes the record of an object that cannot be read, and the
// index entries that stand for it. Its data items stay, for an object that is
// made in its place, unless they are asked for: then they are removed, and what
// they referred to is returned. All of the database is read for that.
func (tx *Tx) DiscardUnreadable(ctx context.Context, kind model.Kind, id string, withData bool) (files []model.Content, err error) {
	damaged, err := tx.IsUnreadable(kind, id)
	if err == nil && !damaged {
		err = fmt.Errorf("%w: its record is not damaged", model.ErrInvalid)
	}
	if err != nil {
		return nil, model.OnObject(kind, id, err)
	}
	if withData {
		if files, err = tx.removeAllData(kind, id); err != nil {
			return nil, err
		}
	}
	b, err := tx.bucket(recordsOf(kind))
	if err != nil {
		return nil, err
	}
	if err := b.remove([]byte(id)); err != nil {
		return nil, err
	}
	tx.note(OpDelete, kind, id, []string{"its record was damaged"})
	_, err = tx.Mend(ctx)
	return files, err
}
