package main

import (
	"cmp"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// findEach calls fn for each object that refs mean, see findAll. It adds an error
// to missing for each of them that means none.
func findEach(tx *graph.ReadTx, refs []string, kinds []model.Kind, damaged *damages, missing *[]error, fn func(model.ID) error) error {
	for _, ref := range refs {
		ids, err := findAll(tx, ref, kinds, damaged)
		if errors.Is(err, model.ErrNotFound) {
			*missing = append(*missing, err)
			continue
		}
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := fn(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// findAll returns the objects that ref means: the one with that ID or name, or
// all that have that digest; none if those are damaged, which is noted. If
// there is none the error matches model.ErrNotFound.
func findAll(tx *graph.ReadTx, ref string, kinds []model.Kind, damaged *damages) ([]model.ID, error) {
	var found []model.ID
	before := len(damaged.errs)
	if wanted, err := digest.Parse(ref); err == nil {
		if found, err = findDigest(tx, wanted, kinds, damaged); err != nil {
			return nil, err
		}
	}
	// Nothing keeps a name from looking like a digest.
	id, err := tx.Find(ref, kinds...)
	switch {
	case err == nil && !slices.Contains(found, id):
		found = append(found, id)
	case errors.Is(err, model.ErrNotFound) && (len(found) > 0 || len(damaged.errs) > before):
		err = nil
	}
	return found, damaged.note(err)
}

// findDigest returns the objects with a digest, layers first, each kind in the
// order of creation. There may be none.
func findDigest(tx *graph.ReadTx, wanted digest.Digest, kinds []model.Kind, damaged *damages) (found []model.ID, err error) {
	if len(kinds) == 0 || slices.Contains(kinds, model.KindLayer) {
		if found, err = findLayers(tx, wanted, damaged); err != nil {
			return nil, err
		}
	}
	if len(kinds) == 0 || slices.Contains(kinds, model.KindImage) {
		images, err := tx.ImagesByDigest(wanted)
		if err := damaged.note(err); err != nil {
			return nil, err
		}
		for _, i := range images {
			found = append(found, i.ID)
		}
	}
	return found, nil
}

// findLayers returns the layers of which any digest is the wanted one.
func findLayers(tx *graph.ReadTx, wanted digest.Digest, damaged *damages) (found []model.ID, err error) {
	var all []*model.Layer
	for _, kind := range []db.DigestKind{db.DiffDigest, db.CompressedDigest, db.TOCDigest} {
		layers, err := tx.LayersByDigest(kind, wanted)
		if errors.Is(err, model.ErrNotFound) {
			continue
		}
		if err := damaged.note(err); err != nil {
			return nil, err
		}
		all = append(all, layers...)
	}
	slices.SortFunc(all, func(a, b *model.Layer) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, l := range slices.CompactFunc(all, func(a, b *model.Layer) bool { return a.ID == b.ID }) {
		found = append(found, l.ID)
	}
	return found, nil
}
