package db

import (
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
		err := c.eachKey(in, func(key string, value []byte) error {
			l := link{in: in, key: key}
			if len(value) > 0 {
				text, err := linkValues(in).decode([]byte(key), value)
				if err != nil {
					return c.damaged(err, in, key, "", "")
				}
				l.value = *text
			}
			kind, id := owner(l)
			links, err := c.linksOf(l, kind, id)
			if err != nil {
				return err
			}
			if links != nil && !slices.Contains(links, l) {
				c.add(ProblemIndexStray, in, key, kind, id, "nothing", "an entry that stands for no record")
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
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
// for. It returns nil if that record is damaged, so that nothing can be said,
// and an empty list if there is none.
func (c *checker) linksOf(l link, kind model.Kind, id string) ([]link, error) {
	links := []link{}
	var err error
	switch kind {
	case model.KindLayer:
		links, err = linksOf(c.tx, layers, id)
	case model.KindImage:
		links, err = linksOf(c.tx, images, id)
	case model.KindContainer:
		links, err = linksOf(c.tx, containers, id)
	}
	if err != nil || links == nil || l.in != bucketFiles {
		return links, err
	}
	owner, err := c.tx.FileOwner(l.key)
	if err != nil || owner.Key == "" {
		return links, ignoreDamage(err)
	}
	item, err := dataItems(kind).get(c.tx, joinKey(id, owner.Key))
	if err != nil {
		return links, ignoreMissing(ignoreDamage(err))
	}
	return append(links, fileLink(item.Content.Path, kind, id, item.Key)), nil
}

// linksOf returns the links of one record, see checker.linksOf.
func linksOf[R any](tx *ReadTx, o objects[R], id string) ([]link, error) {
	r, err := o.get(tx, id)
	if err != nil {
		if ignoreMissing(err) == nil {
			return []link{}, nil
		}
		return nil, ignoreDamage(err)
	}
	return o.links(r), nil
}

// checkUses counts the uses of each layer anew.
func (c *checker) checkUses() error {
	err := c.eachKey(bucketLayers, func(id string, _ []byte) error {
		counted, err := c.tx.Uses(model.LayerID(id))
		if err != nil {
			return c.missingUses(err, id)
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

func (c *checker) missingUses(err error, id string) error {
	if ignoreMissing(err) == nil {
		c.add(ProblemUses, bucketUses, id, model.KindLayer, id, "a count", "nothing")
		return nil
	}
	return c.damaged(err, bucketUses, id, model.KindLayer, id)
}

// checkTrash looks whether anything is to be removed that is needed.
func (c *checker) checkTrash() error {
	return c.eachKey(bucketTrash, func(key string, value []byte) error {
		t, err := trash.decode([]byte(key), value)
		if err != nil {
			return c.damaged(err, bucketTrash, key, "", "")
		}
		if t.Path != key {
			c.add(ProblemRecord, bucketTrash, key, t.ObjectKind, t.ID, "path "+printable(key), "path "+printable(t.Path))
		}
		if owner, err := c.tx.FileOwner(t.Path); err == nil {
			c.add(ProblemTrash, bucketTrash, key, owner.Kind, owner.ID, "content that nothing needs", "content of "+string(owner.Kind)+" "+owner.ID)
		}
		l, err := c.tx.Layer(model.LayerID(t.ID))
		if t.Kind == TrashLayer && err == nil && l.Made && l.DriverDir() == t.Dir {
			c.add(ProblemTrash, bucketTrash, key, model.KindLayer, t.ID, "a layer that nothing needs", "the directory of layer "+t.ID)
		}
		return nil
	})
}

// checkJournal looks whether the journal can be read.
func (c *checker) checkJournal() error {
	return c.eachKey(bucketJournal, func(key string, value []byte) error {
		entry, err := journal.decode([]byte(key), value)
		if err == nil && string(seqKey(entry.Seq)) != key {
			err = &RecordError{Bucket: string(bucketJournal), Key: key, Err: fmt.Errorf("has number %d", entry.Seq)}
		}
		return c.damaged(err, bucketJournal, key, "", "")
	})
}

// checkApps looks whether the values of embedding programs are intact.
func (c *checker) checkApps() error {
	apps, err := c.tx.bucket(bucketApps)
	if err != nil {
		return err
	}
	return apps.ForEach(func(key, value []byte) error {
		if value != nil {
			c.add(ProblemBucket, bucketApps, string(key), "", "", "a bucket", "a value")
			return nil
		}
		return c.checkApp(c.tx.App(string(key)))
	})
}

func (c *checker) checkApp(app *ReadBucket) error {
	if app.bolt == nil {
		return app.usable()
	}
	return app.bolt.ForEach(func(key, value []byte) error {
		if value == nil {
			return c.checkApp(app.Bucket(string(key)))
		}
		_, err := unseal(app.name, key, value)
		return c.damaged(err, app.name, string(key), "", "")
	})
}

// checkUsage computes the sums anew.
func (c *checker) checkUsage() error {
	stored, err := c.tx.Usage()
	if err != nil {
		return ignoreDamage(err) // checkStore has reported it
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
