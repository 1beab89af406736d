package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// Mend puts right whatever follows from the records and is not as it should
// be: index entries, numbering, counts and sums. It adds what is missing, removes
// what stands for nothing, drops entries of the journal that cannot be read and
// trash that is needed, and what is noted about other stores and of no use, and
// makes buckets anew that are missing. Records stay as
// they are, but for a name that two objects have: the newer one keeps it. Of
// what seems to belong to a record that cannot be read nothing is removed.
//
// It returns how many entries it has changed. Nothing is written if that is 0.
func (tx *Tx) Mend(ctx context.Context) (changed int, err error) {
	m := &mender{checker: *newChecker(ctx, &tx.ReadTx), write: tx}
	if err := m.mendBuckets(); err != nil {
		return 0, err
	}
	for _, step := range []func() error{
		m.mendStrays,
		func() error { return mendRecords(m, layers) },
		func() error { return mendRecords(m, images) },
		func() error { return mendRecords(m, containers) },
		m.mendItems, m.mendJournal, m.mendTrash, m.mendPlaces, m.mendUses, m.mendUsage,
	} {
		if err := step(); err != nil {
			return 0, fmt.Errorf("mending the database: %w", err)
		}
	}
	if m.changed > 0 {
		tx.note(OpRepair, "", "", []string{fmt.Sprintf("%d entries", m.changed)})
	}
	return m.changed, nil
}

// mender puts right what a checker finds.
type mender struct {
	checker
	write   *Tx
	changed int
	// lost tells that there are records which cannot be read.
	lost bool
}

// mendBuckets makes buckets that are missing.
func (m *mender) mendBuckets() error {
	for _, name := range buckets {
		found, err := m.tx.root.bucket(string(name))
		if err != nil {
			return err
		}
		if found == nil {
			if _, err := m.tx.root.makeBucket(string(name)); err != nil {
				return err
			}
			m.changed++
		}
	}
	return nil
}

// mendStrays removes index entries that stand for no record, or cannot be read.
func (m *mender) mendStrays() error {
	for _, in := range buckets {
		if linkOwner(in) == nil {
			continue
		}
		strays, err := m.strays(in)
		if err != nil {
			return err
		}
		if err := m.remove(in, strays); err != nil {
			return err
		}
	}
	return nil
}

// strays returns the keys of entries that stand for no record.
func (m *mender) strays(in bucket) (keys []string, err error) {
	owner := linkOwner(in)
	err = m.eachLink(in, func(l link, damaged error) error {
		if damaged != nil {
			keys = append(keys, l.key)
			return ignoreDamage(damaged)
		}
		kind, id := owner(l)
		links, known, err := m.linksOf(l, kind, id)
		if known && err == nil && !slices.Contains(links, l) {
			keys = append(keys, l.key)
		}
		return err
	})
	return keys, err
}

// remove removes entries of a bucket.
func (m *mender) remove(in bucket, keys []string) error {
	b, err := m.tx.bucket(in)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := b.remove([]byte(key)); err != nil {
			return err
		}
		m.changed++
	}
	return nil
}

// mendRecords adds the index entries of all records of a kind, those of the
// newest first.
func mendRecords[R any](m *mender, o objects[R]) error {
	var all []*R
	err := o.all(m.tx, "", func(key string, r *R) error {
		if o.head(r).id == key {
			all = append(all, r)
		}
		return context.Cause(m.ctx)
	})
	if err := m.readable(err); err != nil {
		return err
	}
	slices.SortFunc(all, o.bySeq)
	var greatest uint64
	taken := make(map[string]bool) // names of newer records
	for _, r := range slices.Backward(all) {
		h := o.head(r)
		greatest = max(greatest, *h.seq)
		names := slices.DeleteFunc(slices.Clone(*h.names), func(name string) bool { return taken[name] })
		if len(names) < len(*h.names) {
			*h.names = names
			if err := o.put(m.write, h.id, r); err != nil {
				return err
			}
			m.changed++
		}
		for _, name := range names {
			taken[name] = true
		}
		for _, l := range o.links(r) {
			if err := m.mendLink(l, namesOf(o.kind)); err != nil {
				return model.OnObject(o.kind, h.id, err)
			}
		}
	}
	return m.mendSequence(o.name, greatest)
}

// mendLink adds an index entry that a record stands for. In the bucket names it
// replaces what is there.
func (m *mender) mendLink(l link, names bucket) error {
	b, err := m.tx.bucket(l.in)
	if err != nil {
		return err
	}
	value, err := b.get([]byte(l.key))
	if err != nil {
		return ignoreDamage(err) // a bucket is in its place
	}
	if l.value == "" {
		if value != nil {
			return nil
		}
		m.changed++
		return b.put([]byte(l.key), []byte{})
	}
	if value != nil {
		// What could not be read has been removed.
		owner, err := linkValues(l.in).decode([]byte(l.key), value)
		if err != nil || *owner == l.value || l.in != names {
			return err
		}
	}
	m.changed++
	return linkValues(l.in).put(m.write, l.key, &l.value)
}

// mendSequence makes sure that no number is given out twice.
func (m *mender) mendSequence(in bucket, greatest uint64) error {
	b, err := m.tx.bucket(in)
	if err != nil || b.bolt.Sequence() >= greatest {
		return err
	}
	m.changed++
	return b.setNumber(greatest)
}

// mendItems does for data items what mendRecords does for records.
func (m *mender) mendItems() error {
	for _, kind := range model.Kinds {
		var links []link
		var greatest uint64
		err := dataItems(kind).all(m.tx, "", func(key string, item *model.Data) error {
			id, name, _ := strings.Cut(key, separator)
			if item.Key != name {
				return nil
			}
			greatest = max(greatest, item.Seq)
			links = append(links, fileLink(item.Content.Path, kind, id, name))
			return context.Cause(m.ctx)
		})
		if err := m.readable(err); err != nil {
			return err
		}
		for _, l := range links {
			if err := m.mendLink(l, ""); err != nil {
				return err
			}
		}
		if err := m.mendSequence(dataOf(kind), greatest); err != nil {
			return err
		}
	}
	return nil
}

// mendJournal drops entries that cannot be read.
func (m *mender) mendJournal() error {
	var damaged []string
	var greatest uint64
	err := m.eachKey(bucketJournal, func(key string, value []byte) error {
		entry, err := journal.decode([]byte(key), value)
		if err == nil && string(seqKey(entry.Seq)) == key {
			greatest = entry.Seq
			return nil
		}
		damaged = append(damaged, key)
		return ignoreDamage(err)
	})
	if err != nil {
		return err
	}
	return errors.Join(m.remove(bucketJournal, damaged), m.mendSequence(bucketJournal, greatest))
}

// mendTrash takes what is needed out of the trash, and entries that cannot be
// read: what they spoke of then is content without a record.
func (m *mender) mendTrash() error {
	var wrong []string
	err := m.eachKey(bucketTrash, func(key string, value []byte) error {
		t, err := trash.decode([]byte(key), value)
		if err == nil && t.Path == key {
			needed, err := m.tx.needs(t)
			if needed {
				wrong = append(wrong, key)
			}
			return err
		}
		wrong = append(wrong, key)
		return ignoreDamage(err)
	})
	if err != nil {
		return err
	}
	return m.remove(bucketTrash, wrong)
}

// needs tells whether content that is to be removed is needed.
func (tx *ReadTx) needs(t *Trash) (bool, error) {
	_, err := tx.FileOwner(t.Path)
	if err == nil || ignoreMissing(ignoreDamage(err)) != nil {
		return err == nil, err
	}
	if t.Kind != TrashLayer {
		return false, nil
	}
	l, err := tx.Layer(model.LayerID(t.ID))
	return err == nil && l.Made && l.DriverDir() == t.Dir, ignoreMissing(ignoreDamage(err))
}

// mendUses counts the uses of each layer anew.
func (m *mender) mendUses() error {
	right, err := m.countUses()
	if err != nil {
		return err
	}
	var wrong []string
	err = m.eachKey(bucketUses, func(id string, _ []byte) error {
		counted, err := m.tx.countedUses(model.LayerID(id))
		if err != nil || counted != right[model.LayerID(id)] || counted == 0 {
			wrong = append(wrong, id)
			return ignoreDamage(err)
		}
		delete(right, model.LayerID(id))
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.remove(bucketUses, wrong); err != nil {
		return err
	}
	for id, n := range right {
		if !slices.Contains(wrong, string(id)) {
			m.changed++
		}
		if err := m.write.saveUses(id, n); err != nil {
			return err
		}
	}
	return nil
}

// countUses counts the uses of all layers that have any, from the indexes.
func (m *mender) countUses() (map[model.LayerID]uint64, error) {
	exists, parents := make(map[model.LayerID]bool), make(map[model.LayerID]model.LayerID)
	err := m.eachKey(bucketLayers, func(id string, _ []byte) error {
		exists[model.LayerID(id)] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	children, err := keysWith(m.tx, bucketChildren, "")
	if err != nil {
		return nil, err
	}
	for _, key := range children {
		parent, child, _ := strings.Cut(key, separator)
		parents[model.LayerID(child)] = model.LayerID(parent)
	}
	count := make(map[model.LayerID]uint64)
	for _, in := range []bucket{bucketLayerImages, bucketLayerContainers} {
		err := m.eachKey(in, func(key string, _ []byte) error {
			layer, _, _ := strings.Cut(key, separator)
			for id := model.LayerID(layer); exists[id]; id = parents[id] {
				if count[id]++; count[id] > 1 {
					break
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return count, nil
}

// readable passes over records that cannot be read, but notes that there are
// some.
func (m *mender) readable(err error) error {
	m.lost = m.lost || errors.Is(err, model.ErrCorrupt)
	return ignoreDamage(err)
}

// mendUsage sums up anew. Sums that can be read are left alone as long as not
// all records can.
func (m *mender) mendUsage() error {
	right, err := m.tx.countUsage()
	if err != nil {
		return err
	}
	stored, err := m.tx.Usage()
	if err == nil && (m.lost || *stored == *right) {
		return nil
	}
	m.changed++
	m.write.usage = *right
	return ignoreMissing(ignoreDamage(err))
}
