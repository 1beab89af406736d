package db

import (
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

var layers = objects[model.Layer]{
	table: table[model.Layer]{bucketLayers},
	kind:  model.KindLayer,
	head: func(l *model.Layer) head {
		return head{string(l.ID), &l.Names, &l.Created, &l.Seq, &l.Metadata}
	},
	links: layerLinks,
}

// Layer returns a layer by its ID.
func (tx *ReadTx) Layer(id model.LayerID) (*model.Layer, error) { return layers.load(tx, string(id)) }

// Layers returns all layers in the order of their creation. If some records
// are damaged, it returns the others, and an error that matches
// model.ErrCorrupt.
func (tx *ReadTx) Layers() ([]*model.Layer, error) { return layers.list(tx) }

// Children returns the layers whose parent is the given layer.
func (tx *ReadTx) Children(parent model.LayerID) ([]model.LayerID, error) {
	return idsWith[model.LayerID](tx, bucketChildren, string(parent))
}

// idsWith returns the IDs that stand behind prefix in the keys of an index.
func idsWith[ID ~string](tx *ReadTx, in bucket, prefix string) ([]ID, error) {
	texts, err := keysWith(tx, in, prefix+separator)
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	ids := make([]ID, len(texts))
	for i, text := range texts {
		ids[i] = ID(text)
	}
	return ids, nil
}

// DigestKind tells the digests apart by which layers can be found.
type DigestKind int

// The digests of a layer.
const (
	DiffDigest       DigestKind = iota // of the uncompressed diff (DiffID)
	CompressedDigest                   // of the diff as it was received
	TOCDigest                          // of the table of contents of a partial pull
)

func (k DigestKind) bucket() bucket {
	return [...]bucket{bucketDiffDigest, bucketCompressedDigest, bucketTOCDigest}[k]
}

// LayersByDigest returns the layers with the given digest in the order of
// their creation. If some records are damaged, it returns the others, and an
// error that matches model.ErrCorrupt.
func (tx *ReadTx) LayersByDigest(kind DigestKind, d digest.Digest) ([]*model.Layer, error) {
	ids, err := idsWith[string](tx, kind.bucket(), d.String())
	if err != nil {
		return nil, err
	}
	return layers.loadAll(tx, ids)
}

// loadAll returns the records of several objects in the order of their
// creation, without those that are damaged.
func (o objects[R]) loadAll(tx *ReadTx, ids []string) ([]*R, error) {
	var all []*R
	var damaged []error
	for _, id := range ids {
		r, err := o.load(tx, id)
		switch {
		case errors.Is(err, model.ErrCorrupt):
			damaged = append(damaged, err)
		case err != nil:
			return nil, err
		default:
			all = append(all, r)
		}
	}
	slices.SortFunc(all, o.bySeq)
	return all, errors.Join(damaged...)
}

// CreateLayer stores a new layer. Its parent need not have a record.
func (tx *Tx) CreateLayer(l *model.Layer) error {
	if err := tx.CheckAncestors(l); err != nil {
		return err
	}
	return layers.create(tx, l)
}

// UpdateLayer replaces the record of a layer by what fn makes of it.
func (tx *Tx) UpdateLayer(op Op, id model.LayerID, fn func(*model.Layer) error) (*model.Layer, error) {
	return layers.update(tx, op, string(id), func(l *model.Layer) error {
		parent := l.Parent
		if err := fn(l); err != nil || l.Parent == parent {
			return err
		}
		return tx.CheckAncestors(l)
	})
}

// CheckAncestors returns an error that matches model.ErrInvalid if a layer would
// be its own ancestor, as CreateLayer does. A layer to which no other layer
// refers cannot be, whatever its parent is.
func (tx *ReadTx) CheckAncestors(l *model.Layer) error {
	children, err := tx.Children(l.ID)
	if err != nil || len(children) == 0 && l.Parent != l.ID {
		return err
	}
	seen := make(map[model.LayerID]bool)
	for id := l.Parent; id != "" && !seen[id]; {
		if id == l.ID {
			return model.OnObject(model.KindLayer, l.ID, fmt.Errorf("%w: it would be its own ancestor", model.ErrInvalid))
		}
		seen[id] = true
		ancestor, err := tx.Layer(id)
		if errors.Is(err, model.ErrLayerUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		id = ancestor.Parent
	}
	return nil
}

// DeleteLayer removes a layer and its data items, whoever uses it. It returns
// the record and the content files that nothing refers to any more, its
// tar-split among them.
func (tx *Tx) DeleteLayer(id model.LayerID) (*model.Layer, []model.Content, error) {
	l, files, err := layers.delete(tx, string(id))
	if err == nil && l.Diff != nil && l.Diff.TarSplit != nil {
		files = append(files, *l.Diff.TarSplit)
	}
	return l, files, err
}
