package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/csdb/csdb/model"
)

// StagedImage is a copy of an image of an additional store that is not part of the
// store yet: its data items, which are durable, and what its record says. The
// layers stay where they are.
type StagedImage struct {
	image model.Image
	data  []stagedItem
}

type stagedItem struct {
	key  string
	data *StagedData
}

// Discard removes the copy, unless a transaction has made it part of the store.
// It goes on when the context has ended.
func (i *StagedImage) Discard(ctx context.Context) error {
	var err error
	for _, item := range i.data {
		err = errors.Join(err, item.data.Discard(ctx))
	}
	return err
}

// StageImage copies an image of an additional store. A transaction makes the copy
// part of the store with AddImage; until then it belongs to the caller, who has to
// Discard it if nothing comes of it. If the image is in no additional store the
// error matches model.ErrInvalid.
func (s *Store) StageImage(ctx context.Context, id model.ImageID) (staged *StagedImage, err error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	var items []model.Data
	staged = &StagedImage{}
	err = s.View(ctx, func(tx *ReadTx) error {
		image, err := tx.db.Image(id)
		if err == nil && !image.ReadOnly {
			err = model.OnObject(model.KindImage, id, fmt.Errorf("%w: it is in no additional store", model.ErrInvalid))
		}
		if err == nil {
			staged.image = *image
			items, err = tx.Data(id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, staged.Discard(ctx))
		}
	}()
	for _, item := range items {
		data, err := s.copyData(ctx, id, item)
		if err != nil {
			return staged, err
		}
		staged.data = append(staged.data, stagedItem{item.Key, data})
	}
	return staged, nil
}

// copyData stages a copy of a data item.
func (s *Store) copyData(ctx context.Context, id model.ID, item model.Data) (data *StagedData, err error) {
	f, _, err := s.OpenData(ctx, id, item.Key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.StageData(ctx, DataSpec{
		For: id, Key: item.Key, Digest: item.Content.Digest, ManifestDigest: item.ManifestDigest,
	}, f)
}

// AddImage makes the copy of an image part of the store, where it takes the place
// of the original: it is found by its own names and digests alone. What the spec
// says is said anew: names come before those of the original, flags are added, and
// everything else takes the place of what the original has. Names that other images
// of the store have are left to these.
func (tx *Tx) AddImage(staged *StagedImage, spec ImageSpec) (*model.Image, error) {
	from := &staged.image
	spec.ID = from.ID
	if spec.TopLayer == "" {
		spec.TopLayer = from.TopLayer
	}
	if spec.Digest == "" {
		spec.Digest = from.Digest
	}
	if spec.Metadata == "" {
		spec.Metadata = from.Metadata
	}
	if spec.Created.IsZero() {
		spec.Created = from.Created
	}
	flags := maps.Clone(from.Flags)
	if flags == nil {
		flags = spec.Flags
	} else {
		maps.Copy(flags, spec.Flags)
	}
	spec.Flags = flags
	spec.NamesHistory = model.UniqueNames(append(spec.NamesHistory, from.NamesHistory...)...)
	for _, name := range from.Names {
		_, err := tx.db.NameOwner(model.KindImage, name)
		if errors.Is(err, model.ErrNotFound) {
			spec.Names = append(spec.Names, name)
		} else if err != nil {
			return nil, err
		}
	}
	image, err := tx.CreateImage(spec)
	if err != nil {
		return nil, err
	}
	for _, item := range staged.data {
		if err := tx.SetData(image.ID, item.key, item.data); err != nil {
			return nil, err
		}
	}
	return tx.db.Image(image.ID)
}

// pullUp stages a copy of an image if it is in an additional store. The copy is nil
// if the object is something else, or not there.
func (s *Store) pullUp(ctx context.Context, id model.ID) (*StagedImage, error) {
	image, ok := id.(model.ImageID)
	if !ok || len(s.additional) == 0 {
		return nil, nil //nolint:nilnil // The comment says what nil means.
	}
	foreign, err := view(ctx, s, func(tx *ReadTx) (bool, error) {
		i, err := tx.db.Image(image)
		return err == nil && i.ReadOnly, ignoreNotFound(err)
	})
	if err != nil || !foreign {
		return nil, err
	}
	return s.StageImage(ctx, image)
}

// withCopy runs fn in a transaction. If id is an image of an additional store, that
// has been copied into the store before.
func withCopy[T any](ctx context.Context, s *Store, id model.ID, fn func(*Tx) (T, error)) (result T, err error) {
	staged, err := s.pullUp(ctx, id)
	if err != nil {
		return result, err
	}
	if staged == nil {
		return update(ctx, s, fn)
	}
	defer func() { discardAfter(ctx, staged, &err) }()
	return update(ctx, s, func(tx *Tx) (result T, err error) {
		if _, err := tx.AddImage(staged, ImageSpec{}); err != nil && !errors.Is(err, model.ErrDuplicateID) { // somebody was faster
			return result, err
		}
		return fn(tx)
	})
}
