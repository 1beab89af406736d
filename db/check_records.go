package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// checkRecords looks at all records of a kind and at their index entries.
func checkRecords[R any](c *checker, o objects[R], check func(*R) error) error {
	var greatest uint64
	err := c.eachKey(o.name, func(key string, _ []byte) error {
		r, err := o.load(c.tx, key)
		if err != nil {
			return c.damaged(err, o.name, key, o.kind, key)
		}
		if err := model.ValidateID(o.kind, key); err != nil {
			c.add(ProblemRecord, o.name, key, o.kind, key, "a valid ID", err.Error())
		}
		for _, l := range o.links(r) {
			if err := c.checkLink(l, o.kind, key); err != nil {
				return err
			}
		}
		greatest = max(greatest, *o.head(r).seq)
		return check(r)
	})
	return errors.Join(err, c.checkSequence(o.name, greatest))
}

// checkLink looks whether the index entry is there that a record stands for.
func (c *checker) checkLink(l link, kind model.Kind, id string) error {
	if l.value == "" {
		b, err := c.tx.bucket(l.in)
		if err != nil {
			return err
		}
		value, err := b.get([]byte(l.key))
		if err == nil && value == nil {
			c.add(ProblemIndex, l.in, l.key, kind, id, "an entry", "nothing")
		}
		return ignoreDamage(err) // checkIndexes reports it
	}
	value, err := linkValues(l.in).get(c.tx, l.key)
	switch {
	case errors.Is(err, model.ErrNotFound):
		c.add(ProblemIndex, l.in, l.key, kind, id, printable(l.value), "nothing")
	case errors.Is(err, model.ErrCorrupt):
		// checkIndexes reports it.
	case err != nil:
		return err
	case *value != l.value:
		c.add(ProblemIndex, l.in, l.key, kind, id, printable(l.value), printable(*value))
	}
	return nil
}

func (c *checker) exists(kind model.Kind, id string) (bool, error) {
	return keeperOf(kind).has(c.tx, id)
}

// isKnown tells whether an object exists, here, beside it or in another store.
func (c *checker) isKnown(kind model.Kind, id string) (bool, error) {
	for _, tx := range append([]*ReadTx{c.tx}, c.beside...) {
		found, err := keeperOf(kind).has(tx, id)
		if found || err != nil {
			return found, err
		}
	}
	return elsewhere.has(c.tx, joinKey(string(kind), id))
}

// checkLayer looks at the references of a layer.
func (c *checker) checkLayer(l *model.Layer) error {
	id := string(l.ID)
	if l.Parent != "" {
		found, err := c.isKnown(model.KindLayer, string(l.Parent))
		if err != nil {
			return err
		}
		if !found {
			c.add(ProblemParent, bucketLayers, id, model.KindLayer, id, "parent "+string(l.Parent), "no such layer")
		}
	}
	return nil
}

// checkImage looks at the references of an image.
func (c *checker) checkImage(i *model.Image) error {
	for _, layer := range i.TopLayers() {
		found, err := c.isKnown(model.KindLayer, string(layer))
		if err != nil {
			return err
		}
		if !found {
			c.add(ProblemTopLayer, bucketImages, string(i.ID), model.KindImage, string(i.ID), "layer "+string(layer), "no such layer")
		}
	}
	digests, err := c.tx.manifestDigests(string(i.ID))
	if err != nil {
		return ignoreDamage(err) // checkData reports it
	}
	if !slices.Equal(digests, i.ManifestDigests) {
		c.add(ProblemRecord, bucketImages, string(i.ID), model.KindImage, string(i.ID),
			fmt.Sprintf("manifests %v", digests), fmt.Sprintf("manifests %v", i.ManifestDigests))
	}
	return nil
}

// checkContainer looks at the references of a container.
func (c *checker) checkContainer(r *model.Container) error {
	id := string(r.ID)
	if r.Image != "" {
		found, err := c.isKnown(model.KindImage, string(r.Image))
		if err != nil {
			return err
		}
		if !found {
			c.add(ProblemImage, bucketContainers, id, model.KindContainer, id, "image "+string(r.Image), "no such image")
		}
	}
	found, err := c.isKnown(model.KindLayer, string(r.Layer))
	if err != nil {
		return err
	}
	if !found {
		c.add(ProblemLayer, bucketContainers, id, model.KindContainer, id, "layer "+string(r.Layer), "no such layer")
	}
	owners, err := c.tx.ContainersOfLayer(r.Layer)
	if err == nil && len(owners) > 1 {
		c.add(ProblemSharedLayer, bucketContainers, id, model.KindContainer, id, "a layer of its own", fmt.Sprintf("layer %s belongs to %d containers", r.Layer, len(owners)))
	}
	return err
}

// checkData looks at all data items.
func (c *checker) checkData() error {
	for _, kind := range model.Kinds {
		items, greatest := dataItems(kind), uint64(0)
		err := c.eachKey(items.name, func(key string, value []byte) error {
			id, name, _ := strings.Cut(key, separator)
			item, err := items.decode([]byte(key), value)
			if err != nil {
				return c.damaged(err, items.name, key, kind, id)
			}
			if item.Key != name {
				c.add(ProblemRecord, items.name, key, kind, id, "item "+printable(name), "item "+printable(item.Key))
				return nil
			}
			if found, err := c.exists(kind, id); err != nil {
				return err
			} else if !found {
				c.add(ProblemOrphanData, items.name, key, kind, id, "an object that it belongs to", "none")
			}
			greatest = max(greatest, item.Seq)
			return c.checkLink(fileLink(item.Content.Path, kind, id, item.Key), kind, id)
		})
		if err := errors.Join(err, c.checkSequence(items.name, greatest)); err != nil {
			return err
		}
	}
	return nil
}
