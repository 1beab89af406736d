package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/csdb/csdb/graph/content"
	"github.com/csdb/csdb/model"
)

// Data returns the data items of an object in the order in which their keys
// were first used.
func (tx *ReadTx) Data(id model.ID) ([]model.Data, error) { return tx.db.Data(id) }

// DataItem returns what is known about a data item. If there is none the error
// matches model.ErrDataUnknown.
func (tx *ReadTx) DataItem(id model.ID, key string) (*model.Data, error) {
	item, _, err := tx.db.DataItem(id, key)
	return item, err
}

// OpenData opens a data item for reading. The file stays readable when the
// transaction has ended, and when the item is replaced or deleted.
func (tx *ReadTx) OpenData(id model.ID, key string) (*os.File, *model.Data, error) {
	item, p, err := tx.db.DataItem(id, key)
	if err != nil {
		return nil, nil, err
	}
	var f *os.File
	if err = item.Content.Damaged(); err == nil {
		f, err = p.home.files.Open(item.Content)
	}
	if err != nil {
		return nil, nil, model.OnObject(id.Kind(), id.String(), fmt.Errorf("data item %q: %w", key, err))
	}
	return f, item, nil
}

// SetData makes staged data a data item of an object, in place of what it had
// under that key. The data item of an image whose key begins with "manifest"
// is a manifest: the image can be found by its digest.
func (tx *Tx) SetData(id model.ID, key string, data *StagedData) error {
	item := model.Data{Key: key, Content: data.content}
	if id.Kind() == model.KindImage && model.IsManifestKey(key) {
		item.ManifestDigest = data.manifestDigest
		if item.ManifestDigest == "" {
			item.ManifestDigest = data.content.Digest
		}
	}
	p, err := tx.db.placeTo(id)
	if err != nil {
		return err
	}
	if home := data.claim.store; home.options.Root != p.home.options.Root {
		return model.OnObject(id.Kind(), id.String(), fmt.Errorf("%w: data that was staged in %s cannot be an item of an object in %s; say in DataSpec what it is for",
			model.ErrInvalid, home.options.Root, p.home.options.Root))
	}
	var replaced *model.Content
	err = tx.take([]*claim{data.claim}, func() (err error) {
		replaced, err = p.tx.PutData(id.Kind(), id.String(), item)
		return err
	})
	if err != nil {
		return model.OnObject(id.Kind(), id.String(), err)
	}
	return tx.discardContent(p, replaced, id)
}

// DeleteData removes a data item of an object.
func (tx *Tx) DeleteData(id model.ID, key string) error {
	p, err := tx.db.placeTo(id)
	if err != nil {
		return err
	}
	removed, err := p.tx.DeleteData(id.Kind(), id.String(), key)
	if err != nil {
		return err
	}
	return tx.discardContent(p, removed, id)
}

// SetData stores what r gives as a data item of an object.
func (s *Store) SetData(ctx context.Context, id model.ID, key string, r io.Reader) (err error) {
	// An object that does not exist should not cost the reading of the data.
	if err := s.View(ctx, func(tx *ReadTx) error { return tx.changeable(id) }); err != nil {
		return err
	}
	data, err := s.StageData(ctx, DataSpec{For: id, Key: key}, r)
	if err != nil {
		return err
	}
	defer func() { discardAfter(ctx, data, &err) }()
	return s.Update(ctx, func(tx *Tx) error { return tx.SetData(id, key, data) })
}

// OpenData opens a data item for reading.
func (s *Store) OpenData(ctx context.Context, id model.ID, key string) (f *os.File, item *model.Data, err error) {
	err = s.View(ctx, func(tx *ReadTx) error {
		f, item, err = tx.OpenData(id, key)
		return err
	})
	return f, item, err
}

// VerifyData compares a data item with its digest.
func (s *Store) VerifyData(ctx context.Context, id model.ID, key string) (err error) {
	f, item, err := s.OpenData(ctx, id, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return model.OnObject(id.Kind(), id.String(), content.Verify(ctx, f, item.Content))
}

// trashContents notes content files of a place that are to be removed after the
// commit.
func (tx *Tx) trashContents(p *place, files []model.Content, id model.ID) error {
	for i := range files {
		if err := tx.discardContent(p, &files[i], id); err != nil {
			return err
		}
	}
	return nil
}

// staged is what can be discarded.
type staged interface{ Discard(context.Context) error }

// discardAfter discards something that was staged, for deferred use: if it was
// committed that does nothing.
func discardAfter(ctx context.Context, s staged, err *error) {
	*err = errors.Join(*err, s.Discard(ctx))
}
