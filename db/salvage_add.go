package db

import (
	"fmt"
	"slices"

	"github.com/csdb/csdb/model"
)

// Add adds an object or a data item that was found among the files, and returns
// false if it does not belong: there is a record of it, or it was deleted.
// The origin of what is added is FromFiles.
func (s *Salvaged) Add(record any) bool {
	var o objectKey
	switch r := record.(type) {
	case *model.Layer:
		o = objectKey{kind: model.KindLayer, id: string(r.ID)}
	case *model.Image:
		o = objectKey{kind: model.KindImage, id: string(r.ID)}
	default:
		panic(fmt.Sprintf("a %T cannot be added", record))
	}
	return s.add(o, record)
}

// AddData is Add for a data item of an object, which must have a record.
func (s *Salvaged) AddData(kind model.Kind, id string, item *model.Data) bool {
	return s.has(objectKey{kind: kind, id: id}) && s.add(objectKey{kind, id, item.Key}, item)
}

func (s *Salvaged) add(o objectKey, record any) bool {
	if !s.Missing(o.kind, o.id, o.item) {
		return false
	}
	path, key := o.place()
	in := bucketOf(path)
	s.records[recordKey{in, key}] = &SalvagedRecord{
		Bucket: string(in), Key: key, Origin: FromFiles, bucket: in, path: path, record: record,
	}
	return true
}

// Missing tells whether an object, or a data item of one, has no record because
// that may be lost, and not because it was deleted.
func (s *Salvaged) Missing(kind model.Kind, id, item string) bool {
	o := objectKey{kind, id, item}
	path, key := o.place()
	return !s.has(o) && s.missing(path, key) && !s.history.deleted(kind, id)
}

// Layers returns the layers that have records, ordered by ID.
func (s *Salvaged) Layers() []*model.Layer { return recordsIn[model.Layer](s, bucketLayers) }

// Images returns the images that have records, ordered by ID.
func (s *Salvaged) Images() []*model.Image { return recordsIn[model.Image](s, bucketImages) }

func recordsIn[R any](s *Salvaged, in bucket) (all []*R) {
	for _, r := range s.Records() {
		if record, ok := r.record.(*R); ok && r.bucket == in {
			all = append(all, record)
		}
	}
	return all
}

// Files returns the content files that have a record, those that are to be
// removed included.
func (s *Salvaged) Files() map[string]bool {
	files := make(map[string]bool)
	for _, r := range s.records {
		switch v := r.record.(type) {
		case *model.Data:
			files[v.Content.Path] = true
		case *model.Layer:
			if v.Diff != nil && v.Diff.TarSplit != nil {
				files[v.Diff.TarSplit.Path] = true
			}
		case *Trash:
			files[v.Path] = true
		}
	}
	return files
}

// NamesOf returns the names that an object has according to the index of names,
// of use if its record is lost.
func (s *Salvaged) NamesOf(kind model.Kind, id string) []string {
	names := slices.Clone(s.named[objectKey{kind: kind, id: id}])
	slices.Sort(names)
	return names
}
