package db

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// checkCycles looks for layers that are their own ancestors. Each cycle is
// reported once, for its member with the least ID.
func (c *checker) checkCycles() error {
	parents := make(map[model.LayerID]model.LayerID)
	err := ignoreDamage(layers.all(c.tx, "", func(id string, l *model.Layer) error {
		parents[model.LayerID(id)] = l.Parent
		return nil
	}))
	if err != nil {
		return err
	}
	walk := make(map[model.LayerID]int, len(parents)) // number of the walk that came by
	for n, start := range slices.Sorted(maps.Keys(parents)) {
		id := start
		for id != "" && walk[id] == 0 {
			walk[id] = n + 1
			id = parents[id]
		}
		if id == "" || walk[id] != n+1 {
			continue
		}
		least := id
		for next := parents[id]; next != id; next = parents[next] {
			least = min(least, next)
		}
		c.add(ProblemCycle, bucketLayers, string(least), model.KindLayer, string(least), "a chain of parents that ends", "the layer is its own ancestor")
	}
	return nil
}

// checkIndexes looks whether each index entry stands for a record.
func (c *checker) checkIndexes() error {
	for _, in := range buckets {
		owner := linkOwner(in)
		if owner == nil {
			continue
		}
		err := c.eachLink(in, func(l link, damaged error) error {
			if damaged != nil {
				return c.damaged(damaged, in, l.key, "", "")
			}
			kind, id := owner(l)
			links, known, err := c.linksOf(l, kind, id)
			if err != nil {
				return err
			}
			if known && !slices.Contains(links, l) {
				c.add(ProblemIndexStray, in, l.key, kind, id, "nothing", "an entry that stands for no record")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachLink calls fn for each entry of an index bucket, with an error if its value
// cannot be read.
func (c *checker) eachLink(in bucket, fn func(l link, damaged error) error) error {
	return c.eachKey(in, func(key string, value []byte) error {
		l := link{in: in, key: key}
		if len(value) > 0 {
			text, err := linkValues(in).decode([]byte(key), value)
			if err != nil {
				return fn(l, err)
			}
			l.value = *text
		}
		return fn(l, nil)
	})
}

// linkOwner returns how to tell from an entry of an index bucket which record
// it stands for, or nil if the bucket is no index.
func linkOwner(in bucket) func(link) (model.Kind, string) {
	byValue := func(kind model.Kind) func(link) (model.Kind, string) {
		return func(l link) (model.Kind, string) { return kind, l.value }
	}
	byKey := func(kind model.Kind) func(link) (model.Kind, string) {
		return func(l link) (model.Kind, string) { return kind, lastPart([]byte(l.key)) }
	}
	switch in { //nolint:exhaustive // All others are no indexes.
	case bucketLayerNames:
		return byValue(model.KindLayer)
	case bucketImageNames:
		return byValue(model.KindImage)
	case bucketContainerNames:
		return byValue(model.KindContainer)
	case bucketChildren, bucketDiffDigest, bucketCompressedDigest, bucketTOCDigest:
		return byKey(model.KindLayer)
	case bucketLayerImages, bucketImageDigest:
		return byKey(model.KindImage)
	case bucketLayerContainers, bucketImageContainers:
		return byKey(model.KindContainer)
	case bucketFiles:
		return func(l link) (model.Kind, string) {
			parts := strings.SplitN(l.value+separator, separator, 3)
			return model.Kind(parts[0]), parts[1]
		}
	}
	return nil
}

// linksOf returns all links of the record that an index entry seems to stand
// for, which are none if there is no such record. It returns false if that
// record is damaged, so that nothing can be said.
func (c *checker) linksOf(l link, kind model.Kind, id string) (links []link, known bool, err error) {
	switch kind {
	case model.KindLayer:
		links, err = linksOf(c.tx, layers, id)
	case model.KindImage:
		links, err = linksOf(c.tx, images, id)
	case model.KindContainer:
		links, err = linksOf(c.tx, containers, id)
	default:
		return nil, true, nil
	}
	if err == nil && l.in == bucketFiles {
		var item []link
		item, err = c.linksOfItem(l.key)
		links = append(links, item...)
	}
	if errors.Is(err, model.ErrCorrupt) {
		return nil, false, nil
	}
	return links, true, err
}

// linksOfItem returns the link of the data item that a content file seems to
// belong to, if there is one.
func (c *checker) linksOfItem(path string) ([]link, error) {
	owner, err := c.tx.FileOwner(path)
	if err != nil || owner.Key == "" {
		return nil, err
	}
	item, err := dataItems(owner.Kind).get(c.tx, joinKey(owner.ID, owner.Key))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	return []link{fileLink(item.Content.Path, owner.Kind, owner.ID, owner.Key)}, nil
}

// linksOf returns the links of one record, if there is one.
func linksOf[R any](tx *ReadTx, o objects[R], id string) ([]link, error) {
	r, err := o.load(tx, id)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	return o.links(r), nil
}

// checkUses counts the uses of each layer anew.
func (c *checker) checkUses() error {
	err := c.eachKey(bucketLayers, func(id string, _ []byte) error {
		counted, err := c.tx.countedUses(model.LayerID(id))
		if err != nil {
			return c.damaged(err, bucketUses, id, model.KindLayer, id)
		}
		actual, err := c.tx.usesInIndexes(model.LayerID(id))
		if err != nil {
			return ignoreMissing(ignoreDamage(err))
		}
		if counted != actual {
			c.add(ProblemUses, bucketUses, id, model.KindLayer, id, fmt.Sprint(actual), fmt.Sprint(counted))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.eachKey(bucketUses, func(id string, _ []byte) error {
		found, err := c.exists(model.KindLayer, id)
		if err == nil && !found {
			c.add(ProblemUses, bucketUses, id, model.KindLayer, id, "nothing", "a count for a layer that does not exist")
		}
		return err
	})
}

// checkUsage computes the sums anew.
func (c *checker) checkUsage() error {
	stored, err := c.tx.Usage()
	if err != nil {
		return ignoreMissing(ignoreDamage(err)) // checkStore has reported it
	}
	actual, err := c.tx.countUsage()
	if err != nil {
		return err
	}
	damaged := slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Code == ProblemRecord })
	if *stored != *actual && !damaged {
		c.add(ProblemUsage, bucketStore, keyUsage, "", "", fmt.Sprintf("%+v", *actual), fmt.Sprintf("%+v", *stored))
	}
	return nil
}
