package db

import (
	"cmp"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// take takes a value of a tree.
func (s *Salvaged) take(v treeValue, origin Origin) {
	s.offer(v.record, v.path, v.key, origin, v.page, 0)
}

// offer takes a value unless there is a better one, or an intact tree says that
// it has been deleted.
func (s *Salvaged) offer(record any, path []string, key string, origin Origin, page, stamp uint64) {
	in := bucketOf(path)
	s.noteEvidence(in, key, record, origin)
	switch record.(type) {
	case nil, nameEntry, indexEntry:
		return
	}
	if seq := seqOf(record); seq > 0 && seq < maxSeq {
		s.greatest[in] = max(s.greatest[in], seq)
	}
	if !s.wants(origin, path, key) {
		return
	}
	offered := &SalvagedRecord{
		Bucket: string(in), Key: key, Origin: origin, Page: page, bucket: in, path: path, stamp: stamp, record: record,
	}
	at := recordKey{in, key}
	if there := s.records[at]; there == nil || offered.compare(there) < 0 {
		s.records[at] = offered
	}
}

// maxSeq is more than the number of any record. Greater ones are nonsense, and
// would leave no numbers for later records.
const maxSeq = 1 << 62

// wants tells whether a record from a source is wanted. A tree has been asked
// before about what it takes.
func (s *Salvaged) wants(origin Origin, path []string, key string) bool {
	switch {
	case origin == FromLive || origin == FromCutOff || len(s.gaps) == 0:
		return true
	case origin == FromPrevious:
		return s.gaps[0].has(path, key)
	}
	return s.missing(path, key)
}

// missing tells whether no tree has anything to say about a key.
func (s *Salvaged) missing(path []string, key string) bool {
	for _, g := range s.gaps {
		if !g.has(path, key) {
			return false
		}
	}
	return true
}

// compare orders versions of a record, the best first.
func (r *SalvagedRecord) compare(other *SalvagedRecord) int {
	return cmp.Or(cmp.Compare(r.Origin.rank(), other.Origin.rank()), cmp.Compare(other.stamp, r.stamp), cmp.Compare(r.Page, other.Page))
}

// settle drops what was deleted and makes up the losses, when all values have
// been offered.
func (s *Salvaged) settle() {
	for at, r := range s.records {
		kind, id, _ := r.Object()
		if r.Origin != FromLive && kind != "" && s.history.deleted(kind, id) {
			delete(s.records, at)
		}
	}
}

// Records returns all records in the order of their buckets and keys.
func (s *Salvaged) Records() []*SalvagedRecord {
	all := make([]*SalvagedRecord, 0, len(s.records))
	for _, r := range s.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *SalvagedRecord) int {
		return cmp.Or(strings.Compare(a.Bucket, b.Bucket), strings.Compare(a.Key, b.Key))
	})
	return all
}

// has tells whether there is a record of an object or of a data item of it.
func (s *Salvaged) has(o objectKey) bool {
	at := recordKey{recordsOf(o.kind), o.id}
	if o.item != "" {
		at = recordKey{dataOf(o.kind), joinKey(o.id, o.item)}
	}
	return s.records[at] != nil
}

// objectKey identifies an object, or a data item of one.
type objectKey struct {
	kind     model.Kind
	id, item string
}

// place returns where the record of the object or data item belongs.
func (o objectKey) place() (path []string, key string) {
	if o.item != "" {
		return pathOf(dataOf(o.kind)), joinKey(o.id, o.item)
	}
	return pathOf(recordsOf(o.kind)), o.id
}
