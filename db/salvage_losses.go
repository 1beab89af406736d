package db

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/csdb/csdb/model"
)

// event is the last thing that is known to have happened to an object.
type event struct {
	entry, txID uint64
	time        time.Time
	op          Op
}

// history has the last event of each object of which the journal speaks.
type history map[objectKey]event

// note notes what an entry of the journal says.
func (h history) note(entry *JournalEntry) {
	for _, c := range entry.Changes {
		// Trash of an object may be what a new version has replaced.
		if !slices.Contains(model.Kinds, c.Kind) || c.Op == OpTrash || c.Op == OpReap {
			continue
		}
		at := objectKey{kind: c.Kind, id: c.ID}
		if last, known := h[at]; !known || last.entry <= entry.Seq {
			h[at] = event{entry: entry.Seq, txID: uint64(max(entry.TxID, 0)), time: entry.Time, op: c.Op}
		}
	}
}

// deleted tells whether the last thing that happened to an object is that it was
// deleted.
func (h history) deleted(kind model.Kind, id string) bool {
	return h[objectKey{kind: kind, id: id}].op == OpDelete
}

// noteDamaged notes values of the newest tree that are not intact.
func (s *Salvaged) noteDamaged(values []treeValue) {
	for _, v := range values {
		if kind, id, item := objectOf(bucketOf(v.path), v.key); kind != "" && model.ValidateID(kind, id) == nil {
			s.witness(objectKey{kind, id, item}, fmt.Sprintf("its record on page %d is damaged", v.page))
		}
	}
}

// noteEvidence notes what a value says about the existence of objects.
func (s *Salvaged) noteEvidence(in bucket, key string, record any, origin Origin) {
	switch r := record.(type) {
	case *JournalEntry:
		// A transaction that was not committed has left no trace in a tree.
		if len(s.Trees) == 0 || uint64(max(r.TxID, 0)) <= s.Trees[0].TxID {
			s.history.note(r)
			for _, c := range r.Changes {
				if c.Op == OpApp {
					s.apps[bucket(c.ID)] = true
				}
			}
		}
	case indexEntry:
		if kind := indexKind(in); origin == FromLive {
			s.witness(objectKey{kind: kind, id: lastPart([]byte(key))}, "the index "+strings.TrimPrefix(string(in), "index/")+" has it")
		}
	case nameEntry:
		if origin != FromLive && origin != FromCutOff {
			return
		}
		if in == bucketFiles {
			s.witnessFile(key, r.owner)
			return
		}
		kind := model.Kind(strings.TrimPrefix(string(in), "names/"))
		o := objectKey{kind: kind, id: r.owner}
		s.named[o] = append(s.named[o], key)
		s.witness(o, fmt.Sprintf("it has the name %q", key))
	case []byte:
		s.apps[in] = true
	}
}

// witnessFile notes what the index of content files says.
func (s *Salvaged) witnessFile(path, owner string) {
	parts := strings.SplitN(owner, separator, 3)
	if len(parts) == 3 && slices.Contains(model.Kinds, model.Kind(parts[0])) {
		s.witness(objectKey{model.Kind(parts[0]), parts[1], parts[2]}, "the content file "+path+" belongs to it")
	}
}

// witness notes that something has existed.
func (s *Salvaged) witness(o objectKey, evidence string) {
	if _, known := s.evidence[o]; !known {
		s.evidence[o] = evidence
	}
}

// Losses returns what is known to have existed and was not found, by kind, ID
// and item.
func (s *Salvaged) Losses() []Loss {
	found := make(map[objectKey]string)
	note := func(o objectKey, evidence string) {
		if _, known := found[o]; !known && s.isLost(o) {
			found[o] = evidence
		}
	}
	for o, evidence := range s.evidence {
		note(o, evidence)
	}
	for _, r := range s.Records() {
		for _, o := range references(r.record) {
			if s.records[recordKey{bucketElsewhere, joinKey(string(o.kind), o.id)}] != nil {
				continue
			}
			note(o, fmt.Sprintf("%s %s refers to it", r.kindName(), r.Key))
		}
	}
	for o, e := range s.history {
		note(o, fmt.Sprintf("the journal has it in transaction %d of %s", e.txID, e.time.Format(time.RFC3339)))
	}
	losses := make([]Loss, 0, len(found))
	for o, evidence := range found {
		losses = append(losses, Loss{Kind: o.kind, ID: o.id, Item: o.item, Evidence: evidence})
	}
	slices.SortFunc(losses, func(a, b Loss) int {
		return cmp.Or(
			cmp.Compare(slices.Index(model.Kinds, a.Kind), slices.Index(model.Kinds, b.Kind)),
			strings.Compare(a.ID, b.ID), strings.Compare(a.Item, b.Item))
	})
	return losses
}

// isLost tells whether something has no record because that is damaged, and not
// because it was deleted.
func (s *Salvaged) isLost(o objectKey) bool {
	if s.has(o) || s.history.deleted(o.kind, o.id) {
		return false
	}
	path, key := o.place()
	return len(s.gaps) == 0 || s.gaps[0].has(path, key)
}

// kindName names what a record is.
func (r *SalvagedRecord) kindName() string {
	kind, _, _ := r.Object()
	return string(kind)
}

// references returns the objects that a record refers to.
func references(record any) (all []objectKey) {
	add := func(kind model.Kind, id string) {
		if id != "" {
			all = append(all, objectKey{kind: kind, id: id})
		}
	}
	switch r := record.(type) {
	case *model.Layer:
		add(model.KindLayer, string(r.Parent))
	case *model.Image:
		for _, layer := range r.TopLayers() {
			add(model.KindLayer, string(layer))
		}
	case *model.Container:
		add(model.KindImage, string(r.Image))
		add(model.KindLayer, string(r.Layer))
	}
	return all
}
