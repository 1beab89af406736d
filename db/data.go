package db

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

// dataItems has the data items of a kind.
func dataItems(kind model.Kind) table[model.Data] { return table[model.Data]{dataOf(kind)} }

// Data returns the data items of an object in the order in which their keys
// were first used.
func (tx *ReadTx) Data(kind model.Kind, id string) ([]model.Data, error) {
	if found, err := keeperOf(kind).has(tx, id); err != nil || !found {
		return nil, cmp.Or(err, model.Unknown(kind, id))
	}
	var items []model.Data
	err := dataItems(kind).all(tx, id+separator, func(_ string, item *model.Data) error {
		items = append(items, *item)
		return nil
	})
	slices.SortFunc(items, func(a, b model.Data) int { return cmp.Compare(a.Seq, b.Seq) })
	return items, model.OnObject(kind, id, err)
}

// DataItem returns one data item of an object.
func (tx *ReadTx) DataItem(kind model.Kind, id, key string) (*model.Data, error) {
	item, err := dataItems(kind).get(tx, joinKey(id, key))
	if !errors.Is(err, model.ErrNotFound) {
		return item, model.OnObject(kind, id, err)
	}
	if found, err := keeperOf(kind).has(tx, id); err != nil || !found {
		return nil, cmp.Or(err, model.Unknown(kind, id))
	}
	return nil, model.OnObject(kind, id, fmt.Errorf("%q: %w", key, model.ErrDataUnknown))
}

// PutData stores a data item, and returns the content that it replaces, if
// any: nothing refers to that any more.
func (tx *Tx) PutData(kind model.Kind, id string, item model.Data) (*model.Content, error) {
	if err := model.ValidateDataKey(item.Key); err != nil {
		return nil, model.OnObject(kind, id, err)
	}
	if err := tx.space.toGrow(); err != nil {
		return nil, model.OnObject(kind, id, err)
	}
	var replaced *model.Content
	old, err := tx.DataItem(kind, id, item.Key)
	switch {
	case err == nil:
		item.Seq = old.Seq
		replaced = &old.Content
		if err := tx.removeData(kind, id, old); err != nil {
			return nil, err
		}
	case errors.Is(err, model.ErrDataUnknown):
		b, err := tx.bucket(dataOf(kind))
		if err != nil {
			return nil, err
		}
		if item.Seq, err = b.next(); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	if err := dataItems(kind).put(tx, joinKey(id, item.Key), &item); err != nil {
		return nil, err
	}
	if err := tx.link(fileLink(item.Content.Path, kind, id, item.Key)); err != nil {
		return nil, err
	}
	tx.usage.DataItems++
	tx.usage.DataBytes += item.Content.Size
	tx.note(OpData, kind, id, []string{item.Key})
	return replaced, tx.refreshManifests(kind, id)
}

// DeleteData removes a data item and returns its content, to which nothing
// refers any more.
func (tx *Tx) DeleteData(kind model.Kind, id, key string) (*model.Content, error) {
	item, err := tx.DataItem(kind, id, key)
	if err != nil {
		return nil, err
	}
	if err := tx.removeData(kind, id, item); err != nil {
		return nil, err
	}
	tx.note(OpData, kind, id, []string{key})
	return &item.Content, tx.refreshManifests(kind, id)
}

// removeData removes a data item and its index entry.
func (tx *Tx) removeData(kind model.Kind, id string, item *model.Data) error {
	tx.usage.DataItems--
	tx.usage.DataBytes -= item.Content.Size
	if err := tx.unlink(fileLink(item.Content.Path, kind, id, item.Key)); err != nil {
		return err
	}
	return dataItems(kind).remove(tx, joinKey(id, item.Key))
}

// removeAllData removes the data items of an object that is being deleted, and
// returns their contents.
func (tx *Tx) removeAllData(kind model.Kind, id string) ([]model.Content, error) {
	items, err := tx.Data(kind, id)
	if err != nil {
		return nil, err
	}
	var contents []model.Content
	for _, item := range items {
		if err := tx.removeData(kind, id, &item); err != nil {
			return nil, err
		}
		contents = append(contents, item.Content)
	}
	return contents, nil
}

// manifestDigests returns the digests of an image's manifests as its data
// items have them.
func (tx *ReadTx) manifestDigests(id string) ([]digest.Digest, error) {
	items, err := tx.Data(model.KindImage, id)
	if err != nil {
		return nil, err
	}
	var digests []digest.Digest
	for _, item := range items {
		if item.ManifestDigest != "" {
			digests = append(digests, item.ManifestDigest)
		}
	}
	return digests, nil
}

// refreshManifests repeats the digests of an image's manifests in its record,
// if they have changed.
func (tx *Tx) refreshManifests(kind model.Kind, id string) error {
	if kind != model.KindImage {
		return nil
	}
	digests, err := tx.manifestDigests(id)
	if err != nil {
		return err
	}
	image, err := tx.Image(model.ImageID(id))
	if err != nil || slices.Equal(image.ManifestDigests, digests) {
		return err
	}
	_, err = tx.UpdateImage("", image.ID, func(i *model.Image) error {
		i.ManifestDigests = digests
		return nil
	})
	return err
}

// FileOwner is the data item that a content file belongs to. A layer's
// tar-split has no key.
type FileOwner struct {
	Kind model.Kind
	ID   string
	Key  string
}

// FileOwner returns to what the content file path, relative to the root of the
// store, belongs.
func (tx *ReadTx) FileOwner(path string) (FileOwner, error) {
	owner, err := linkValues(bucketFiles).get(tx, path)
	if errors.Is(err, model.ErrNotFound) {
		return FileOwner{}, fmt.Errorf("content file %s: %w", path, err)
	}
	if err != nil {
		return FileOwner{}, err
	}
	parts := strings.SplitN(*owner, separator, 3)
	if len(parts) != 3 || !slices.Contains(model.Kinds, model.Kind(parts[0])) {
		return FileOwner{}, &RecordError{Bucket: string(bucketFiles), Key: path, Err: errors.New("names no data item")}
	}
	return FileOwner{Kind: model.Kind(parts[0]), ID: parts[1], Key: parts[2]}, nil
}
