package db

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/csdb/csdb/model"
)

// Omission is a record that contradicts a better one, or makes no sense, and is
// left out of the new database, as a whole or in part.
type Omission struct {
	Record *SalvagedRecord
	// Part is what is left out: "" for the whole record.
	Part string
	// Reason says why.
	Reason string
}

// resolver brings records of different age together so that they fit. Of two
// that contradict each other the better one wins, and of two from the same
// source the one that was created last.
type resolver struct {
	objects, items, trash, apps, journal, places []*SalvagedRecord
	omissions                                    []Omission

	there  map[objectKey]bool
	names  map[objectKey]string // the ID being the name
	owners map[model.LayerID]model.ContainerID
	// files are content files that are needed, and dirs the layers that a
	// driver's directories belong to.
	files   map[string]string
	dirs    map[string]bool
	parents map[model.LayerID]model.LayerID
}

// resolve returns the records that a new database is made of.
func resolve(records []*SalvagedRecord) *resolver {
	r := &resolver{
		there: make(map[objectKey]bool), names: make(map[objectKey]string), owners: make(map[model.LayerID]model.ContainerID),
		files: make(map[string]string), dirs: make(map[string]bool), parents: make(map[model.LayerID]model.LayerID),
	}
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b *SalvagedRecord) int {
		return cmp.Or(cmp.Compare(a.Origin.rank(), b.Origin.rank()), cmp.Compare(seqOf(b.record), seqOf(a.record)))
	})
	// Items and trash depend on which objects there are.
	for _, pass := range []func(*SalvagedRecord){r.object, r.item, r.rest} {
		for _, record := range records {
			pass(record)
		}
	}
	// New numbers, if need be, follow the old order.
	for _, list := range [][]*SalvagedRecord{r.objects, r.items} {
		slices.SortStableFunc(list, func(a, b *SalvagedRecord) int {
			return cmp.Or(cmp.Compare(orderOf(a), orderOf(b)), strings.Compare(a.Key, b.Key))
		})
	}
	return r
}

// orderOf returns the number of a record, one without a number being the last.
func orderOf(r *SalvagedRecord) uint64 {
	if seq := seqOf(r.record); seq > 0 && seq < maxSeq {
		return seq
	}
	return maxSeq
}

func (r *resolver) omit(record *SalvagedRecord, part, format string, args ...any) {
	r.omissions = append(r.omissions, Omission{Record: record, Part: part, Reason: fmt.Sprintf(format, args...)})
}

// object takes a layer, image or container.
func (r *resolver) object(record *SalvagedRecord) {
	kind, id, item := record.Object()
	if kind == "" || item != "" || kind != "" && record.bucket != recordsOf(kind) {
		return
	}
	if err := model.ValidateID(kind, id); err != nil {
		r.omit(record, "", "%v", err)
		return
	}
	kept := *record // what was found stays as it is
	switch o := record.record.(type) {
	case *model.Layer:
		layer := *o
		if !r.layer(record, &layer) {
			return
		}
		kept.record = &layer
	case *model.Image:
		image := *o
		image.Names = r.takeNames(record, kind, id, image.Names)
		if !r.linkable(record, imageLinks(&image)) {
			return
		}
		kept.record = &image
	case *model.Container:
		container := *o
		if owner, taken := r.owners[container.Layer]; taken && container.Layer != "" {
			r.omit(record, "", "its layer %s belongs to the container %s", container.Layer, owner)
			return
		}
		container.Names = r.takeNames(record, kind, id, container.Names)
		if !r.linkable(record, containerLinks(&container)) {
			return
		}
		r.owners[container.Layer] = container.ID
		kept.record = &container
	}
	r.there[objectKey{kind: kind, id: id}] = true
	r.objects = append(r.objects, &kept)
}

// layer takes a layer.
func (r *resolver) layer(record *SalvagedRecord, layer *model.Layer) bool {
	for id, steps := layer.Parent, 0; id != "" && steps <= len(r.parents); id, steps = r.parents[id], steps+1 {
		if id == layer.ID {
			r.omit(record, "", "it would be its own ancestor")
			return false
		}
	}
	layer.Names = r.takeNames(record, model.KindLayer, string(layer.ID), layer.Names)
	if layer.Diff != nil && layer.Diff.TarSplit != nil && !r.takeFile(layer.Diff.TarSplit.Path, "layer "+string(layer.ID)) {
		r.omit(record, "tar-split", "the content file %s belongs to %s", layer.Diff.TarSplit.Path, r.files[layer.Diff.TarSplit.Path])
		diff := *layer.Diff
		diff.TarSplit = nil
		layer.Diff = &diff
	}
	if !r.linkable(record, layerLinks(layer)) {
		return false
	}
	r.parents[layer.ID] = layer.Parent
	if layer.Made {
		r.dirs[layer.DriverDir()] = true
	}
	return true
}

// takeNames returns the names that are left for an object.
func (r *resolver) takeNames(record *SalvagedRecord, kind model.Kind, id string, names []string) (left []string) {
	for _, name := range model.UniqueNames(names...) {
		at := objectKey{kind: kind, id: name}
		owner, taken := r.names[at]
		switch err := model.ValidateName(name); {
		case err != nil:
			r.omit(record, fmt.Sprintf("name %q", name), "%v", err)
		case taken && owner != id:
			r.omit(record, fmt.Sprintf("name %q", name), "%s %s has it", kind, owner)
		default:
			r.names[at] = id
			left = append(left, name)
		}
	}
	return left
}

// linkable tells whether index entries can be made for a record.
func (r *resolver) linkable(record *SalvagedRecord, links []link) bool {
	for _, l := range links {
		if l.value == "" && strings.Count(l.key, separator) != 1 {
			r.omit(record, "", "%q cannot be part of a key", l.key)
			return false
		}
	}
	return true
}

// takeFile notes that a content file is needed, and tells whether it is free.
func (r *resolver) takeFile(path, owner string) bool {
	if _, taken := r.files[path]; taken {
		return false
	}
	r.files[path] = owner
	return true
}

// item takes a data item.
func (r *resolver) item(record *SalvagedRecord) {
	item, ok := record.record.(*model.Data)
	if !ok {
		return
	}
	kind, id, _ := record.Object()
	err := model.ValidateDataKey(item.Key)
	switch {
	case err != nil:
		r.omit(record, "", "%v", err)
	case !r.there[objectKey{kind: kind, id: id}]:
		r.omit(record, "", "there is no record of the %s", kind)
	case !r.takeFile(item.Content.Path, fmt.Sprintf("%s %s, data item %q", kind, id, item.Key)):
		r.omit(record, "", "the content file %s belongs to %s", item.Content.Path, r.files[item.Content.Path])
	default:
		r.items = append(r.items, record)
	}
}

// rest takes all that is no object and no part of one.
func (r *resolver) rest(record *SalvagedRecord) {
	switch v := record.record.(type) {
	case *Trash:
		_, needed := r.files[v.Path]
		switch {
		case needed || v.Kind == TrashLayer && r.dirs[v.Dir] || v.Kind == TrashTree && r.there[objectKey{kind: v.ObjectKind, id: v.ID}]:
			r.omit(record, "", "what it is about is needed")
		case record.Origin.rank() > FromPrevious.rank():
			r.omit(record, "", "what it is about may have been removed, and something else may be there")
		default:
			r.trash = append(r.trash, record)
		}
	case *JournalEntry:
		r.journal = append(r.journal, record)
	case []byte:
		r.apps = append(r.apps, record)
	case noted:
		r.place(record, v)
	}
}

// place takes what is noted about other places, old or not: what is held in vain
// does no harm, and what is not held may be deleted. But changes that may have been
// made already must not be made once more.
func (r *resolver) place(record *SalvagedRecord, what noted) {
	kind, id := what.object()
	switch what.(type) {
	case *Hold:
		if !r.there[objectKey{kind: kind, id: id}] {
			r.omit(record, "", "there is no record of the %s", kind)
			return
		}
	case *Prepared, *RunRoot:
		if record.Origin.rank() > FromPrevious.rank() {
			r.omit(record, "", "it may have been settled since")
			return
		}
	}
	r.places = append(r.places, record)
}
